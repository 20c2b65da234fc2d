"""One mistake for each formula of the layers: the file, the formula, the mistake."""

MUTANTS = {
    "layers/core.py": [
        ("z += self.bias.value", "z -= self.bias.value"),
        (
            "z = np.dot(rows, self.kernel.value, out=out)",
            "z = np.dot(-rows, self.kernel.value, out=out)",
        ),
        ("gradient = self.activation.backward(gradient)", "pass"),
        (
            "np.dot(rows.T, d, out=self.kernel.gradient)",
            "np.dot(-rows.T, d, out=self.kernel.gradient)",
        ),
        (
            "np.dot(rows.T, d, out=self.kernel.gradient)",
            "np.dot(rows.T / len(rows), d, out=self.kernel.gradient)",
        ),
        (
            "np.dot(rows.T, d, out=self.kernel.gradient)",
            "self.kernel.gradient += np.dot(rows.T, d)",
        ),
        (
            "np.dot(ones(len(d), self.dtype), d, out=self.bias.gradient)",
            "np.dot(-ones(len(d), self.dtype), d, out=self.bias.gradient)",
        ),
        (
            "np.dot(ones(len(d), self.dtype), d, out=self.bias.gradient)",
            "np.mean(d, axis=0, out=self.bias.gradient)",
        ),
        ("np.dot(ones(len(d), self.dtype), d, out=self.bias.gradient)", "pass"),
        (
            "np.dot(ones(len(d), self.dtype), d, out=self.bias.gradient)",
            "self.bias.gradient[...] = np.resize(d.sum(axis=1), self.units)",
        ),
        ("np.dot(d, self.kernel.value.T, out=out)", "np.dot(d, -self.kernel.value.T, out=out)"),
        (
            "np.dot(d, self.kernel.value.T, out=out)",
            "np.dot(d, self.kernel.value.reshape(self.units, -1), out=out)",
        ),
    ],
    "layers/normalization.py": [
        ("np.subtract(rows, mean, out=self.scratch", "np.add(rows, mean, out=self.scratch"),
        (
            "variance = self._mean(np.square(centered, out=y))",
            "variance = 2 * self._mean(np.square(centered, out=y))",
        ),
        ("np.multiply(centered, factor, out=y)", "np.multiply(centered, -factor, out=y)"),
        ("np.multiply(mean_gn, len(g), out=", "np.multiply(mean_gn, 1, out="),
        ("np.multiply(mean_g, len(g), out=", "np.multiply(mean_g, -len(g), out="),
        (
            "np.multiply(centered, mean_gn / spread, out=dx)",
            "np.multiply(centered, mean_gn, out=dx)",
        ),
        ("dx += mean_g", "dx -= mean_g"),
        ("np.subtract(g, dx, out=dx)", "np.add(g, dx, out=dx)"),
        ("dx *= factor", "dx *= 1"),
        ("np.multiply(g, factor, out=dx)", "np.multiply(g, -factor, out=dx)"),
        ("np.sqrt(variance + self.epsilon)", "np.sqrt(variance) + self.epsilon"),
        ("return gamma / self._spread(variance)", "return gamma * self._spread(variance)"),
        (
            "np.moveaxis(rows.reshape(moved), -1, self.axis)",
            "np.moveaxis(rows.reshape(moved), -1, 1)",
        ),
    ],
    "layers/regularization.py": [
        ("np.greater_equal(bits[", "np.less(bits["),
        ("y = np.multiply(x, kept,", "y = np.multiply(x, ~kept,"),
        ("y *= self._scale", "y *= 1"),
        ("np.multiply(gradient, kept, out=out)", "np.multiply(-gradient, kept, out=out)"),
        ("np.multiply(gradient, kept, out=out)", "np.copyto(out, gradient)"),
        ("out *= self._scale", "out /= self._scale"),
    ],
    "layers/reshaping.py": [
        ("x = np.moveaxis(x, 1, -1)", "x = np.moveaxis(x, -1, 1)"),
        ("gradient = np.moveaxis(gradient, -1, 1)", "gradient = np.moveaxis(gradient, 1, -1)"),
        (
            "return gradient.transpose(0, *(self.dims.index(i) + 1",
            "return gradient.transpose(0, *(self.dims[i - 1]",
        ),
        ("np.add.reduce(gradient, axis=1,", "np.maximum.reduce(gradient, axis=1,"),
        ("y[...] = x[:, None]", "y[...] = np.resize(x, shape)"),
        ("left, rest = divmod(", "rest, left = divmod("),
    ],
}

"""One mistake for each formula of the activations: the file, the formula, the mistake."""

MUTANTS = {
    "layers/activations.py": [
        # ReLU
        ("np.maximum(x, self._zero, out=out)", "np.minimum(x, self._zero, out=out)"),
        ("x >= self.threshold, x, self", "x >= 0, x, self"),
        ("self.negative_slope * (x - self.threshold)", "self.negative_slope * x"),
        ("np.minimum(y, np.inf if", "np.maximum(y, -np.inf if"),
        ("np.greater(y, self._zero,", "np.less(y, self._zero,"),
        ("return np.multiply(gradient, active, out=out)", "return np.copyto(out, gradient) or out"),
        ("self._zero + 1, self._zero + self.negative_slope)", "self._zero + 1, self._zero)"),
        ("np.where(x > self.threshold, self._zero + 1", "np.where(x > 0, self._zero + 1"),
        ("slope *= y < self.max_value", "slope *= y > self.max_value"),
        (
            "return np.multiply(gradient, slope, out=out)",
            "return np.multiply(-gradient, slope, out=out)",
        ),
        # LeakyReLU
        (
            "return np.multiply(x, self._slope(x), out=out)",
            "return np.multiply(x, -self._slope(x), out=out)",
        ),
        (
            "return np.multiply(gradient, self._slope(x), out=out)",
            "return np.multiply(gradient, self._slope(-x), out=out)",
        ),
        ("np.where(x > 0, one, x.dtype", "np.where(x < 0, one, x.dtype"),
        # Sigmoid
        ("np.negative(x, out=out)", "np.positive(x, out=out)"),
        ("np.add(out, self._one, out=out)", "np.add(out, 2 * self._one, out=out)"),
        ("np.subtract(self._one, y, out=out)", "np.add(self._one, y, out=out)"),
        (
            "np.multiply(out, y, out=out)\n        return np.multiply(out, gradient, out=out)",
            "return np.multiply(out, gradient, out=out)",
        ),
        # Tanh
        ("return np.tanh(x, out=out)", "return np.negative(np.tanh(x), out=out) * 0.5"),
        ("np.multiply(y, y, out=out)", "np.multiply(y, 2 * y, out=out)"),
        ("np.subtract(1, out, out=out)", "np.add(1, out, out=out)"),
        # Softmax
        ("e /= total", "e /= -total"),
        ("np.multiply(gradient, y, out=out)", "np.multiply(gradient, -y, out=out)"),
        ("out.sum(axis=self.axis, keepdims=True)", "out.sum(axis=0, keepdims=True)"),
        ("return np.multiply(out, y, out=out)", "return np.multiply(out, 1, out=out)"),
        # Where the derivative belongs to the logits
        (
            "if from_logits:\n            return gradient\n        x, y",
            "if not from_logits:\n            return gradient\n        x, y",
        ),
    ],
}

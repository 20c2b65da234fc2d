"""One mistake for each formula of the activations: the file, the formula, the mistake."""

MUTANTS = {
    "layers/activations/base.py": [
        ('name == "y" or self.needs_input', 'name == "y"'),
        ("made = self.chain(dy, x, y, dx)", "made = self.chain(dy, y, y, dx)"),
        ("if made is not y:", "if False:"),
        ("if made is not dx:", "if False:"),
    ],
    "layers/activations/rectified.py": [
        # ReLU
        ("return np.maximum(x, self._zero, out=out)", "return np.minimum(x, self._zero, out=out)"),
        ("np.where(x > self.threshold, x, below)", "np.where(x > 0, x, below)"),
        ("(np.minimum(x, self.threshold) - self.threshold)", "np.minimum(x, self.threshold)"),
        ("np.minimum(y, np.inf if", "np.maximum(y, -np.inf if"),
        ("np.greater(y, self._zero,", "np.less(y, self._zero,"),
        ("np.multiply(dy, dx, out=dx)", "np.copyto(dx, dy)"),
        ("np.multiply(gradient, y > self._zero,", "np.multiply(gradient, y < self._zero,"),
        ("if self.needs_input or self.of_user:", "if self.needs_input:"),
        ("self._zero + 1, self._zero + self.negative_slope)", "self._zero + 1, self._zero)"),
        ("x >= self.threshold if self.negative_slope else", "x > 0 if self.negative_slope else"),
        ("else x > self.threshold\n", "else x >= self.threshold\n"),
        ("slope *= y < self.max_value", "slope *= y > self.max_value"),
        ("functools.partial(ReLU, max_value=6.0)", "functools.partial(ReLU, max_value=5.0)"),
        # LeakyReLU
        (
            "return np.multiply(x, self._slope(x), out=out)",
            "return np.multiply(x, -self._slope(x), out=out)",
        ),
        (
            "return np.multiply(gradient, self._slope(x), out=out)",
            "return np.multiply(gradient, self._slope(-x), out=out)",
        ),
        ("np.where(x >= 0, one, x.dtype", "np.where(x > 0, one, x.dtype"),
        # ELU and SELU
        ("below *= self._scale * self._alpha", "below *= self._alpha"),
        ("np.minimum(out, np.finfo(x.dtype).max / x.dtype.type(self._scale), out=out)", "pass"),
        ("out += self._scale * self._alpha\n", "out += self._alpha\n"),
        ("np.multiply(y > 0, above)", "np.multiply(y >= 0, above)"),
        ("_scale = 1.0507009873554805", "_scale = 1.05"),
        # CELU
        ("np.clip(x, -40 * self.alpha, 0)", "np.clip(x, -4 * self.alpha, 0)"),
        ("below /= self.alpha", "below /= 1"),
        ("out += 1\n", "out -= 1\n"),
        ("np.minimum(y, 0, out=out)\n        out /=", "np.maximum(y, 0, out=out)\n        out /="),
    ],
    "layers/activations/smooth.py": [
        # Sigmoid
        (
            "np.negative(x, out=out)\n        np.minimum",
            "np.positive(x, out=out)\n        np.minimum",
        ),
        ("np.add(out, self._one, out=out)", "np.add(out, 2 * self._one, out=out)"),
        ("np.subtract(self._one, y, out=out)", "np.add(self._one, y, out=out)"),
        (
            "np.multiply(out, y, out=out)\n        return np.multiply(out, gradient, out=out)",
            "return np.multiply(out, gradient, out=out)",
        ),
        # Tanh
        ("return np.tanh(x, out=out)", "return np.negative(np.tanh(x), out=out) * 0.5"),
        ("np.multiply(y, y, out=out)", "np.multiply(y, 2 * y, out=out)"),
        ("np.subtract(constant(1, out.dtype), out,", "np.add(constant(1, out.dtype), out,"),
        # TanhShrink
        ("np.subtract(x, np.tanh(x), out=out)", "np.add(x, np.tanh(x), out=out)"),
        (
            "np.tanh(x, out=out)\n        np.multiply(out, out, out=out)",
            "np.tanh(x, out=out)",
        ),
        # Softplus
        ("np.negative(y, out=out)", "np.positive(y, out=out)"),
        # LogSigmoid
        ("return np.negative(log1p_exp(out, out), out=out)", "return log1p_exp(out, out)"),
        ("np.expm1(y, out=out)", "np.exp(y, out=out)"),
        # Softsign
        ("np.divide(x, np.abs(x) + 1, out=out)", "np.divide(x, np.abs(x) + 2, out=out)"),
        ("np.reciprocal(out, out=out)\n        np.multiply", "np.multiply"),
        # Squareplus
        ("root += self.b\n", "root += 2 * self.b\n"),
        ("np.maximum(root, a, out=root)", "pass"),
        ("self.b / 4 / half", "self.b / 2 / half"),
        ("np.divide(y, self._root(x), out=out)", "np.divide(y, 2 * self._root(x), out=out)"),
        # Exponential
        ("np.minimum(x, exp_maximum(x.dtype), out=out)", "np.minimum(x, 50, out=out)"),
        ("return np.multiply(gradient, y, out=out)", "return np.multiply(gradient, -y, out=out)"),
    ],
    "layers/activations/gated.py": [
        # SiLU
        ("np.multiply(x, sigmoid(x), out=out)", "np.multiply(x, sigmoid(-x), out=out)"),
        ("np.subtract(1, s, out=out)\n", "np.add(1, s, out=out)\n"),
        ("out += s\n", "out -= s\n"),
        # GELU
        ("np.multiply(x, gate, out=out)", "np.multiply(x, 1 - gate, out=out)"),
        ("out *= 3 * 0.044715", "out *= 2 * 0.044715"),
        ("out += 1\n            out *= math.sqrt(8 / math.pi)", "out *= math.sqrt(8 / math.pi)"),
        ("out *= 1 - gate", "out *= 1 + gate"),
        ("np.full_like(x, 0.5)", "np.full_like(x, 1)"),
        ("z *= -0.5", "z *= -1"),
        ("out *= 1 / math.sqrt(2 * math.pi)", "out *= 1 / math.sqrt(math.pi)"),
        ("cube *= 0.044715", "cube *= 0.0044715"),
        ("z *= math.sqrt(8 / math.pi)", "z *= math.sqrt(2 / math.pi)"),
        # Mish
        ("np.multiply(x, n / (n + 2), out=out)", "np.multiply(x, n / (n + 1), out=out)"),
        ("out /= bottom\n        out /= bottom", "out /= bottom"),
        ("out *= 4\n", "out *= 2\n"),
        # GLU
        ("np.multiply(u, sigmoid(v, s), out=y)", "np.multiply(v, sigmoid(v, s), out=y)"),
        ("np.multiply(dy, s, out=by_u)", "np.multiply(dy, -s, out=by_u)"),
        ("np.subtract(1, s, out=by_v)", "np.add(1, s, out=by_v)"),
        ("by_v *= y", "by_v *= s"),
    ],
    "layers/activations/hard.py": [
        ("_clip(out, 0, 2 * end, out)", "_clip(out, 0, end, out)"),
        ("(y > 0) & (y < 1)", "(y >= 0) & (y <= 1)"),
        ("np.divide(gradient, 2 * self.end, out=out)", "np.divide(gradient, 6, out=out)"),
        ("out *= np.abs(x) < 3", "out *= np.abs(x) <= 3"),
        ("out += h\n", "out -= h\n"),
        ("_clip(x, -1, 1, out)", "_clip(x, 0, 1, out)"),
        ("gradient, x == y, out", "gradient, x != y, out"),
        ("np.abs(x) > self.threshold", "x > self.threshold"),
        ("np.multiply(gradient, y != 0, out=out)", "np.multiply(gradient, y > 0, out=out)"),
        ("np.subtract(x, near, out=out)", "np.add(x, near, out=out)"),
        ("np.where(x > self.threshold, x, x.dtype", "np.where(x > 0, x, x.dtype"),
        ("np.multiply(gradient, x > self.threshold, out", "np.multiply(gradient, x > 0, out"),
        ("np.where(x < 1, half * half, x)", "np.where(x < 1, half, x)"),
        ("out < 1, out <= 1", "out < 1, out < 1"),
        ("sides *= 0.25", "sides *= 0.5"),
        ("np.add(x, 1, out=out)", "np.subtract(x, 1, out=out)"),
    ],
    "layers/activations/softmaxes.py": [
        # Softmax
        ("e /= total", "e /= -total"),
        ("np.multiply(gradient, y, out=out)", "np.multiply(gradient, -y, out=out)"),
        (
            "np.subtract(gradient, out.sum(axis=self._axes, keepdims=True), out=out)",
            "np.subtract(gradient, out.sum(axis=0, keepdims=True), out=out)",
        ),
        ("return np.multiply(out, y, out=out)", "return np.multiply(out, 1, out=out)"),
        # LogSoftmax
        ("shifted -= np.log(total)", "shifted += np.log(total)"),
        ("np.exp(y, out=out)", "np.negative(y, out=out)"),
        ("out *= gradient.sum(axis=self._axes", "out *= gradient.sum(axis=0"),
        # Sparsemax
        ("np.maximum(z, -1, out=z)", "np.maximum(z, -0.5, out=z)"),
        ("1 + counts * falling > sums", "2 + counts * falling > sums"),
        ("axis=0) - 1) / size", "axis=0) - 2) / size"),
        ("total /= support.sum(axis=self._axes", "total /= support.sum(axis=0"),
        ("return np.multiply(out, support, out=out)", "return np.multiply(out, 1, out=out)"),
    ],
}

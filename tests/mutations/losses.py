"""One mistake for each formula of the losses: the file, the formula, the mistake."""

MUTANTS = {
    "losses/regression.py": [
        ("np.square(error, out=error), axis=-1)", "np.square(error, out=error), axis=0)"),
        ("np.square(error, out=error), axis=-1) / y_", "np.square(error), axis=-1) * y_"),
        ("np.add.reduce(np.square(error", "np.add.reduce(np.abs(error"),
        ("d *= 2 / y_pred.shape[-1]", "d *= 1 / y_pred.shape[-1]"),
        ("d *= 2 / y_pred.shape[-1]", "d *= 2 / y_pred.shape[0]"),
        ("d = y_pred - y_true", "d = y_true - y_pred"),
        ("np.abs(error, out=error), axis=-1)", "np.abs(error, out=error), axis=0)"),
        ("np.abs(error, out=error), axis=-1) / y_", "np.abs(error), axis=-1) * y_"),
        ("np.add.reduce(np.abs(error", "np.add.reduce(np.square(error"),
        ("d = np.sign(y_pred - y_true)", "d = np.sign(y_true - y_pred)"),
        (
            "d = np.sign(y_pred - y_true)\n        d *= 1 / y_pred.shape[-1]",
            "d = np.sign(y_pred - y_true)",
        ),
        ("(cut * (error - cut / 2))", "(cut * (error - cut))"),
        ("np.clip(y_pred - y_true, -self", "np.clip(y_true - y_pred, -self"),
        ("self.delta)\n        d *= 1 / y_pred.shape[-1]", "self.delta)"),
    ],
    "losses/crossentropy.py": [
        # binary
        (
            "y = y * (1 - self.label_smoothing) + self.label_smoothing / 2",
            "y = y * (1 + self.label_smoothing) + self.label_smoothing / 2",
        ),
        (
            "y = y * (1 - self.label_smoothing) + self.label_smoothing / 2",
            "y = y * (1 - self.label_smoothing) + self.label_smoothing",
        ),
        ("values = np.log1p(e) - z * (y - positive)", "values = np.log1p(e) + z * (y - positive)"),
        ("values = np.log1p(e) - z * (y - positive)", "values = np.log1p(e) - z * y"),
        ("np.where(positive, 1, e) / (1 + e) - y", "np.where(positive, 1, e) / (1 + e) + y"),
        ("np.where(positive, 1, e) / (1 + e) - y", "np.where(positive, e, 1) / (1 + e) - y"),
        ("-(y * np.log(p) + (1 - y) * np.log1p(-p))", "-(y * np.log(p) - (1 - y) * np.log1p(-p))"),
        ("(p - y) / (p * (1 - p)) * (p == y_pred)", "(y - p) / (p * (1 - p)) * (p == y_pred)"),
        ("(p - y) / (p * (1 - p)) * (p == y_pred)", "(p - y) * (p == y_pred)"),
        ("(p - y) / (p * (1 - p)) * (p == y_pred)", "(p - y) / (p * (1 - p))"),
        ("d /= outputs", "d *= 1"),
        ("values.mean(axis=self.axis)", "values.sum(axis=self.axis)"),
        # categorical
        (
            "y * (1 - self.label_smoothing) + self.label_smoothing / len(y)",
            "y * (1 - self.label_smoothing) + self.label_smoothing / 2",
        ),
        (
            "y * (1 - self.label_smoothing) + self.label_smoothing / len(y)",
            "y + self.label_smoothing / len(y)",
        ),
        (
            "values = mass * np.log(total) - np.add.reduce(y * z, axis=0)",
            "values = mass * np.log(total) + np.add.reduce(y * z, axis=0)",
        ),
        (
            "values = mass * np.log(total) - np.add.reduce(y * z, axis=0)",
            "values = np.log(total) - np.add.reduce(y * z, axis=0)",
        ),
        ("d *= mass / total", "d *= mass"),
        ("d *= mass / total", "d *= 1 / total"),
        ("d -= y", "d += y"),
        ("p /= total", "total = 1"),
        (
            "values = -np.add.reduce(y * np.log(inside), axis=0)",
            "values = np.add.reduce(y * np.log(inside), axis=0)",
        ),
        ("y = y * (p == inside)", "y = y * 1.0"),
        (
            "d = (np.add.reduce(y, axis=0) - y / inside) / total",
            "d = (np.add.reduce(y, axis=0) - y / inside)",
        ),
        (
            "d = (np.add.reduce(y, axis=0) - y / inside) / total",
            "d = (np.add.reduce(y, axis=0) + y / inside) / total",
        ),
        ("d = (np.add.reduce(y, axis=0) - y / inside) / total", "d = -y / inside / total"),
        # sparse
        ("y_true != self.ignore_class", "y_true == self.ignore_class"),
    ],
    "losses/loss.py": [
        ("return values * scale\n", "return values\n"),
        ("return float(np.sum(values * scale))", "return float(np.mean(values * scale))"),
        ("gradient *= scale\n", "gradient *= -scale\n"),
        (
            "return float(np.add.reduce(values, axis=None)) * scale, gradient",
            "return float(np.add.reduce(values, axis=None)), gradient",
        ),
        (
            "gradient *= np.expand_dims(scale, self.axis)",
            "gradient *= np.expand_dims(scale, self.axis) ** 2",
        ),
        (
            "return float(np.vdot(values, scale)), gradient",
            "return float(np.sum(values)), gradient",
        ),
        ("return 1.0 / values.size if mean else 1.0", "return 1.0 / len(values) if mean else 1.0"),
        ("return 1.0 / values.size if mean else 1.0", "return 1.0 / values.size"),
        ("weight = weight * valid", "weight = weight * ~valid"),
        ("divisor = weight.sum()", "divisor = weight.size"),
        (
            "divisor = weight.size if valid is None else np.count_nonzero(valid)",
            "divisor = weight.size",
        ),
        ("scale = weight / divisor if mean", "scale = weight * divisor if mean"),
    ],
}

"""One mistake for each formula of the model: the file, the formula, the mistake."""

MUTANTS = {
    "blas.py": [
        ("    y += x\n", "    y -= x\n"),
        ("if a != 1:", "if a == 1:"),
        ("axpy(len(y), a,", "axpy(len(y), -a,"),
        ("scal(len(x), a,", "scal(len(x), 1.0,"),
        ("x *= a", "x *= 1"),
        ("x.flags.c_contiguous and ", ""),
        ("x.dtype == y.dtype and ", ""),
        (" and len(x) == len(y)", ""),
        ("return y.flags.writeable and all(", "return all("),
    ],
    "numerics.py": [
        ("return z, e, np.add.reduce(e, axis=0)", "return z, e, np.add.reduce(e, axis=-1)"),
        ("return z, e, np.add.reduce(e, axis=0)", "return z, e, 2 * np.add.reduce(e, axis=0)"),
        ("np.maximum(z, -exp_limit(z.dtype))", "np.maximum(-z, -exp_limit(z.dtype))"),
        ("return np.moveaxis(array, 0, axis)", "return np.moveaxis(array, 0, -1)"),
        ("top = np.minimum(x, 0)", "top = np.maximum(x, 0)"),
        ("np.maximum(x, 0, out=out)\n    return np.add", "return np.add"),
        ("e = np.log1p(np.exp(-np.abs(x)))", "e = np.log1p(np.exp(-x * x))"),
        ("a *= -0.5", "a *= -0.4999"),
        ("u = (4 - a) / below", "u = (a - 4) / below"),
        ("np.subtract(x > 0, tail, out=tail)", "np.subtract(x < 0, tail, out=tail)"),
        ("-1.90587255374614062e-6", "1.90587255374614062e-6"),
        ("-0.003668972125", "-0.003678972125"),
    ],
    "regularizers.py": [
        ("return self.l1 * float(np.abs(x).sum())", "return self.l1 * float(x.sum())"),
        ("gradient = np.sign(x)", "gradient = -np.sign(x)"),
        ("gradient *= self.l1", "gradient *= 1"),
        ("return self.l2 * float(np.vdot(x, x))", "return self.l2 / 2 * float(np.vdot(x, x))"),
        ("return 2 * self.l2 * x", "return self.l2 * x"),
        ("return 2 * self.l2 * x", "return -2 * self.l2 * x"),
        ("return L1.__call__(self, x) + L2.__call__(self, x)", "return L1.__call__(self, x)"),
        ("gradient += L2.gradient(self, x)", "gradient -= L2.gradient(self, x)"),
        ('rows = x if self.mode == "rows" else x.T', 'rows = x.T if self.mode == "rows" else x'),
        (
            "norms = np.maximum(np.linalg.norm(rows, axis=1,",
            "norms = np.maximum(np.linalg.norm(rows, ord=1, axis=1,",
        ),
        ("self.factor / max(1, n * (n - 1))", "self.factor / max(1, n * n)"),
        ("gradient -= np.einsum", "gradient += np.einsum"),
        ("gradient *= 2 * weight / norms", "gradient *= weight / norms"),
        ("gradient *= 2 * weight / norms", "gradient *= 2 * weight"),
        ('return gradient if self.mode == "rows" else gradient.T', "return gradient"),
    ],
    "sequential.py": [
        (
            "gradient = gradient + layer.activity_regularizer.gradient(y) / len(y)",
            "gradient = gradient - layer.activity_regularizer.gradient(y) / len(y)",
        ),
        (
            "gradient = gradient + layer.activity_regularizer.gradient(y) / len(y)",
            "gradient = gradient + layer.activity_regularizer.gradient(y)",
        ),
        (
            "y = self._activities[layer]\n                gradient =",
            "y = -self._activities[layer]\n                gradient =",
        ),
        (
            "total += layer.activity_regularizer(y) / len(y)",
            "total += layer.activity_regularizer(y)",
        ),
        (
            "total += layer.activity_regularizer(x) / len(x)",
            "total += layer.activity_regularizer(x)",
        ),
        ("total += layer.step_penalty()", "total -= layer.step_penalty()"),
        ('options["from_logits"] = True', 'options["from_logits"] = False'),
        (
            "gradient = layer.backward(gradient, **options)",
            "gradient = layer.backward(gradient, **options) * 1.01",
        ),
    ],
    "objective.py": [
        (
            "variable.gradient += penalty.gradient(variable.value)",
            "variable.gradient -= penalty.gradient(variable.value)",
        ),
        (
            "variable.gradient += penalty.gradient(variable.value)",
            "variable.gradient[...] = penalty.gradient(variable.value)",
        ),
        ("total += penalty(variable.value)", "total -= penalty(variable.value)"),
        ("return total + self.model.step_penalty()", "return total"),
        ("return total + self.model.activity_penalty(x)", "return total"),
        ("if last.activity_regularizer is not None:", "if False:"),
        ("joined.from_logits = True", "joined.from_logits = False"),
        ('or loss.axis != getattr(activation, "axis", -1)', ""),
    ],
}

"""Break each formula of the package once, and see the tests fail.

``python tests/mutants.py`` applies one change at a time to a copy of the package and runs the tests
of gradients and values on it. A mutant that no test fails on has survived: the tests are too weak.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parent.parent

# The tests that each part's mutants are put before; a survivor has passed them all.
TESTS = {
    "layers": "gradients/test_layers.py gradients/test_activations.py gradients/test_models.py",
    "losses": "test_losses.py gradients/test_losses.py gradients/test_models.py",
    "regularizers.py": "test_regularizers.py gradients/test_models.py",
    "sequential.py": "gradients/test_models.py",
    "objective.py": "gradients/test_models.py",
}
TESTS["numerics.py"] = f"{TESTS['layers']} {TESTS['losses']}"

# The file, the formula, and the mistake: a sign, a factor, an axis.
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
    "numerics.py": [
        ("return z, e, np.add.reduce(e, axis=0)", "return z, e, np.add.reduce(e, axis=-1)"),
        ("return z, e, np.add.reduce(e, axis=0)", "return z, e, 2 * np.add.reduce(e, axis=0)"),
        ("np.maximum(z, -exp_limit(z.dtype))", "np.maximum(-z, -exp_limit(z.dtype))"),
        ("return np.moveaxis(array, 0, axis)", "return np.moveaxis(array, 0, -1)"),
    ],
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
        ("x = np.moveaxis(x, 1, -1)", "x = np.moveaxis(x, -1, 1)"),
        ("gradient = np.moveaxis(gradient, -1, 1)", "gradient = np.moveaxis(gradient, 1, -1)"),
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


def run(package: Path, tests: Iterable[str]) -> subprocess.CompletedProcess[str]:
    """Run the tests on the package in ``package``, up to the first that fails."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=line", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, "--hypothesis-profile=first failure", *(f"tests/{test}" for test in tests)],
        cwd=package,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def outcome(file: str | None, old: str = "", new: str = "") -> str:
    """Return "killed by" a test, "SURVIVED", or why the mutant could not be made."""
    with tempfile.TemporaryDirectory() as directory:
        package = Path(directory)
        for part in ("nnlite", "tests", "pyproject.toml"):
            source = ROOT / part
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, package / part)
        tests = dict.fromkeys(" ".join(TESTS.values()).split())
        if file is not None:
            target = package / "nnlite" / file
            text = target.read_text()
            if text.count(old) != 1:
                return f"STALE: the text stands there {text.count(old)} times"
            target.write_text(text.replace(old, new))
            tests = dict.fromkeys(TESTS[file.split("/")[0]].split())
        done = run(package, tests)
    if done.returncode == 0:
        return "SURVIVED"
    killers = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if done.returncode not in (1, 2) or not killers:
        return f"BROKEN: {done.stdout[-300:]}{done.stderr[-300:]}"
    return f"killed by {killers[0].split(' - ')[0].split('::', 1)[-1]}"


def short(text: str) -> str:
    return " ".join(text.split())[:58].ljust(58)


def main() -> int:
    """Print what became of every mutant, and return how many were not killed."""
    if (whole := outcome(None)) != "SURVIVED":
        print(f"The tests fail on the package as it is: {whole}")
        return 1
    mutants = [(file, *change) for file, changes in MUTANTS.items() for change in changes]
    alive = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda mutant: outcome(*mutant), mutants)
        for (file, old, new), result in zip(mutants, results, strict=True):
            alive += not result.startswith("killed")
            print(f"{file:<26} {short(old)} -> {short(new)} {result}", flush=True)
    print(f"{len(mutants) - alive} of {len(mutants)} mutants killed")
    return alive


if __name__ == "__main__":
    sys.exit(bool(main()))

"""Mistakes in the metrics' formulas."""

MUTANTS = {
    "metrics/reduction.py": [
        ("per_sample = values.size / len(values)", "per_sample = values.size * len(values)"),
        ("shared = values.size / weight.size", "shared = 1 / weight.size"),
        ("            per_sample = values.size\n", "            per_sample = 1\n"),
        ("self.count += values.size / per_sample", "self.count += 1"),
    ],
    "metrics/accuracy.py": [
        ("(y_pred > threshold)", "(y_pred >= threshold)"),
        ("larger = np.count_nonzero(scores > own", "larger = np.count_nonzero(scores >= own"),
        ('(larger < check_count("k", k, 1))', '(larger <= check_count("k", k, 1))'),
    ],
    "metrics/thresholds.py": [
        ("return self._by_threshold(sums[1:])", "return self._by_threshold(sums[:-1])"),
        ("np.ceil(inside", "np.floor(inside"),
        (
            "np.searchsorted(self._sorted, np.fmax(y_pred, -np.inf))",
            "np.searchsorted(self._sorted, np.fmax(y_pred, -np.inf), 'right')",
        ),
        ("(y_pred > self._sorted[0])", "(y_pred >= self._sorted[0])"),
        ("np.argsort(-y_pred", "np.argsort(y_pred"),
        ("given[-1] += margin", "given[-1] -= margin"),
    ],
    "metrics/confusion.py": [
        (
            "return ratio(true, true + metric.false_negatives)",
            "return ratio(true, true - metric.false_negatives)",
        ),
        (
            "return self.best(_recall(self), _specificity(self))",
            "return self.best(_specificity(self), _recall(self))",
        ),
        ("initial=0.0", "initial=1.0"),
    ],
    "metrics/auc.py": [
        ("height = (y[:-1] + y[1:]) / 2", "height = y[:-1] + y[1:]"),
        ("np.where(true == 0, 0, 1 - odds", "np.where(true == 0, 0, 1 + odds"),
        ("start = true[1:] - slope", "start = true[1:] + slope"),
        ("ratio(positive[:-1], positive[1:]), 1)", "ratio(positive[1:], positive[:-1]), 1)"),
        (
            "x, y = ratio(false, false + rejected), ratio(true, true + missed)",
            "x, y = ratio(true, true + missed), ratio(false, false + rejected)",
        ),
    ],
    "metrics/fscore.py": [
        ("scores = (1 + weight) * precision", "scores = (1 - weight) * precision"),
        ("weight = self.beta**2", "weight = self.beta"),
        ("(np.abs(y_pred) > 1e-9)", "(np.abs(y_pred) > -1)"),
    ],
    "metrics/regression.py": [
        ("return math.sqrt(super().result())", "return super().result()"),
        ("squares - total * ratio(total, count)", "squares - ratio(total, count)"),
        ("(self._samples - 1) / freedom", "self._samples / freedom"),
        ("y = y_true - self._shift", "y = y_true + self._shift"),
        ("return -super().values(y_true, y_pred)", "return super().values(y_true, y_pred)"),
    ],
    "metrics/correlation.py": [
        (
            "np.sqrt(_variance(y, axis) * _variance(p, axis))",
            "_variance(y, axis) * _variance(p, axis)",
        ),
        ("return 2 * covariance", "return covariance"),
        ("apart**2 + epsilon()", "apart + epsilon()"),
    ],
    "metrics/iou.py": [
        ("union = true + predicted - both", "union = true + predicted"),
        ("y_true != self.ignore_class", "y_true == self.ignore_class"),
        (">= self.threshold", "> self.threshold"),
    ],
}

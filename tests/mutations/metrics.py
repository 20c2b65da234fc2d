"""Mistakes in the metrics' formulas."""

MUTANTS = {
    "metrics/reduction.py": [
        ("per_sample = values.size / len(values)", "per_sample = values.size * len(values)"),
        ("shared = values.size / weight.size", "shared = 1 / weight.size"),
        ("            per_sample = values.size\n", "            per_sample = 1\n"),
        ("dtype=float), values.size, per_sample)", "dtype=float), 1, per_sample)"),
        ("self.count.item() + count / per_sample", "self.count.item() + count"),
        ("len(values) != len(y_pred) or values", "values"),
        ("or values.size > y_pred.size", ""),
    ],
    "metrics/metric.py": [
        ("old.assign(value)  # otherwise", "pass  # otherwise"),
        ("one for part in parts for one in variables_in(part)", "one for one in parts if not 1"),
        ("if array.shape not in ((), self.shape):", "if False:"),
        ("self.assign(self - value)", "self.assign(self + value)"),
    ],
    "metrics/compiled.py": [
        ("y_true, y_pred = read_only(y_true), read_only(y_pred)", "pass"),
        ("        if first:\n            self.results()\n", ""),
        ("sample_weight.reshape(sample_weight.shape + axes) * mask", "sample_weight * mask"),
        ("0 < metric.threshold < 1", "True"),
        ("max(metric.chosen) > 0", "True"),
        ("not metric.from_logits", "True"),
    ],
    "metrics/accuracy.py": [
        ("(y_pred > threshold)", "(y_pred >= threshold)"),
        ("larger = np.count_nonzero(scores > own", "larger = np.count_nonzero(scores >= own"),
        ('(larger < check_count("k", k, 1))', '(larger <= check_count("k", k, 1))'),
    ],
    "metrics/thresholds.py": [
        ("[-2::-1][self._places]", "[-1:0:-1][self._places]"),
        ("histogram[:-1].cumsum", "histogram[1:].cumsum"),
        ("int(name in _OF_TRUE)", "int(name not in _OF_TRUE)"),
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
        ("np.maximum(positive[:-1] - positive[1:], 0)", "positive[:-1] - positive[1:]"),
        ("ratio(positive[:-1], positive[1:]), 1)", "ratio(positive[1:], positive[:-1]), 1)"),
        (
            "x, y = ratio(false, false + rejected), ratio(true, true + missed)",
            "x, y = ratio(true, true + missed), ratio(false, false + rejected)",
        ),
    ],
    "metrics/fscore.py": [
        ("scores = (1 + weight) * precision", "scores = (1 - weight) * precision"),
        ("weight = self.beta**2", "weight = self.beta"),
        ("self.false_positives += predicted - hits", "self.false_positives += predicted"),
        ("self.false_negatives += actual - hits", "self.false_negatives += actual"),
        ("(np.abs(y_pred) > 1e-9)", "(np.abs(y_pred) > -1)"),
    ],
    "metrics/regression.py": [
        ("return math.sqrt(super().result())", "return super().result()"),
        ("squares - total * ratio(total, count)", "squares - ratio(total, count)"),
        ("(samples - 1) / freedom", "samples / freedom"),
        ("samples = float(count.mean())", "samples = float(count.sum())"),
        ("np.subtract(y_true, shift, dtype=float)", "np.add(y_true, shift, dtype=float)"),
        ("if self._sums.any() else y_true[0]", "if not self._sums.any() else y_true[0]"),
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
        ("self.total_cm.sum(axis=1) - both", "self.total_cm.sum(axis=1)"),
        ("self.total_cm.sum(axis=0) + self", "self.total_cm.sum(axis=1) + self"),
        ("y_true != self.ignore_class", "y_true == self.ignore_class"),
        (">= self.threshold", "> self.threshold"),
    ],
}

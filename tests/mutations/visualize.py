"""One mistake for each rule of the pictures: the file, the rule, the mistake."""

MUTANTS = {
    "visualize/film.py": [
        ("np.meshgrid(across, up[::-1])", "np.meshgrid(across, up)"),
        ("np.diff(np.stack(images), axis=0, prepend=np.uint8(0))", "np.stack(images)"),
        ("1 / (1 + np.exp(-output[:, 0])) if logits", "output[:, 0] if logits"),
        ("            if logits:\n", "            if False:\n"),
        ("(np.nan_to_num(output.max(1)) - least) / (1 - least)", "np.nan_to_num(output.max(1))"),
        ("            self._every *= 2\n", ""),
        ("            del self._frames[self.frames - 1 :]\n", ""),
    ],
    "visualize/gradients.py": [
        ('for what in ("gradient", "value")', 'for what in ("value", "gradient")'),
        ("np.square(a, dtype=float).sum()", "np.abs(a).sum()"),
        ("if self._taken % self.frequency and", "if"),
        ("layer.own_variables() if id(variable) in learning", "layer.own_variables()"),
        ("        self._let_go()\n        if self.path", "        if self.path"),
    ],
    "visualize/plot_model.py": [
        ("1 + max((source.rank", "max((source.rank"),
        ("range(source.rank + 1, box.rank)", "range(0)"),
        ("max(right[at + 1], right[at] + least)", "right[at + 1]"),
        ("along = long - along if back else along", "along = along"),
        ("(across, along) if upright else (along, across)", "(across, along)"),
    ],
    "utils/markup.py": [
        ("else escape(str(part))", "else str(part)"),
        ("np.where(np.isneginf(y), low, y) if log else y", "y"),
    ],
}

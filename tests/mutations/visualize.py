"""One mistake for each rule of the pictures: the file, the rule, the mistake."""

MUTANTS = {
    "visualize/film.py": [
        ("np.meshgrid(axes[0], axes[1][::-1])", "np.meshgrid(axes[0], axes[1])"),
        ("stack[1:] - stack[:-1]", "stack[1:]"),
        ("1 / (1 + np.exp(-output[:, 0])) if logits", "output[:, 0] if logits"),
        (
            "            if logits:\n                output",
            "            if False:\n                output",
        ),
        ("(np.nan_to_num(output.max(1)) - least) / (1 - least)", "np.nan_to_num(output.max(1))"),
        ("            self._every *= 2\n", ""),
        ("                del part[self.frames - 1 :]\n", "                pass\n"),
    ],
    "visualize/gradients.py": [
        ("v.gradient for v", "v.value for v"),
        ("np.square(a, dtype=float).sum()", "np.abs(a).sum()"),
        ("if self._taken % self.frequency and", "if"),
        ("if id(v) in learning]\n        found", "if v.trainable]\n        found"),
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

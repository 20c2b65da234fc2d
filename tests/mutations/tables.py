"""One mistake for each formula of the layers for tables: the file, the formula, the mistake."""

MUTANTS = {
    "layers/preprocessing/encoding.py": [
        ("np.nonzero(entries >= 0)", "np.nonzero(entries > 0)"),
        ("np.add.at(", "np.ndarray.__setitem__("),
        ("kept = entries[int(step - 1) ::", "kept = entries[int(step) ::"),
        ("shares = epsilon + np.arange", "shares = np.arange"),
    ],
    "execution/graph.py": [("if not call.layer.differentiable", "if False")],
    "layers/preprocessing/hashing.py": [
        ("_mixed(v[1], w[1], mul) + x, mul", "_mixed(v[1], w[1], mul) + z, mul"),
        ("_shifted(y * _K2 ^ z * _K0)", "_shifted(y * _K2 + z * _K0)"),
        ("(*((word, 2) for word in words), (0, 4))", "(*((word, 1) for word in words), (0, 3))"),
        (
            "1 + hash_bins(x, self.num_bins - 1, self.salt)",
            "hash_bins(x, self.num_bins, self.salt)",
        ),
    ],
    "layers/preprocessing/lookup.py": [
        ("(self._counts[token], token), reverse=True", "self._counts[token], reverse=True"),
        ("math.log(1 + self._samples / (1 +", "math.log(self._samples / (1 +"),
        ('0 if self.output_mode == "int" else -1', "0"),
        ("self._oov_start() + rest % self.num_oov", "1 - rest % self.num_oov"),
    ],
    "layers/preprocessing/text_vectorization.py": [
        ("for n in widths for i in range(len(row) - n + 1)", "for n in widths for i in range(n)"),
    ],
}

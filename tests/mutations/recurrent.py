"""One mistake for each formula of the recurrent layers."""

MUTANTS = {
    "layers/recurrent/cells.py": [
        (
            "rows = ((0, True, True), (1, True, True), (3, True, True), (2, True, True))",
            "rows = ((0, True, True), (1, True, True), (2, True, True), (3, True, True))",
        ),
        ("bias[self.units : 2 * self.units] = 1", "bias[: self.units] = 1"),
        ("np.multiply(f, c, out=new_c)", "np.multiply(i, c, out=new_c)"),
        ("dc += through_c", "dc[...] = through_c"),
        ("dc *= f", "dc *= i"),
        ("np.multiply(reset, z[3 * u :], out=product)", "product[...] = z[3 * u :]"),
        ("np.multiply(reset, dropped_h, out=product)", "np.multiply(reset, h, out=product)"),
        ("np.subtract(h, n, out=new_h)", "np.subtract(n, h, out=new_h)"),
        ("np.subtract(dh, rest, out=dn)", "np.add(dh, rest, out=dn)"),
        ("gradient = np.tensordot(a[:, 3 * u :], z", "gradient = np.tensordot(a[:, :u], z"),
        (">= rate, 1 - rate, out=part)", ">= rate, 1, out=part)"),
    ],
    "layers/recurrent/rnn.py": [
        ("np.copyto(h[t + 1], h[t], where=off[t])", "np.copyto(h[t + 1], 0, where=off[t])"),
        ("np.copyto(c[t + 1], c[t], where=off[t])", "pass"),
        ("dh += stays[0]", "pass"),
        ("dc += stays[1]", "pass"),
        ("by_product *= dropped[features + 1 :]", "pass"),
        ("dx *= dropped[:features]", "pass"),
        ("dx[...] = self._in_order(d.transpose(2, 0, 1))", "dx[...] = d.transpose(2, 0, 1)"),
        ("if self._owner.stateful:", "if False:"),
    ],
    "layers/recurrent/wrappers.py": [
        ("return [d * b, d * a]", "return [d * a, d * b]"),
        ("return [d * 0.5] * 2", "return [d] * 2"),
        ("parts[1] = self._in_time(parts[1])", "pass"),
        ("part.cache = cache", "pass"),
        ("mask.ndim > 2 or isinstance", "isinstance"),
        ("or isinstance(layer, BatchNormalization)", ""),
    ],
    "training/nan_diagnosis.py": [("layer.states = before", "pass")],
}

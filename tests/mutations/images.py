"""One mistake for each formula of the layers over images and sequences."""

MUTANTS = {
    "backend/convolution.py": [
        ('"same": total // 2', '"same": total - total // 2'),
        ("low = max(0, -(first // stride))", "low = max(0, -first // stride)"),
        ("(count - 1) * s + extent - n, 0)", "count * s + extent - n, 0)"),
        (
            "- (size - (n - 1) * s + extent - 1) // 2, 0)",
            "- (size - (n - 1) * s + extent) // 2, 0)",
        ),
        ("(max(s - extent, 0) if longer", "(0 if longer"),
        ("min(samples, max(1, BUDGET // max(each, 1)))", "min(samples, BUDGET // max(each, 1))"),
        ("before[0] - start * windows", "before[0] + start * windows"),
        ("view.reshape(width, -1).T if turned", "view.reshape(-1, width) if turned"),
        ("        gradient += part\n", "        gradient[...] = part\n"),
        ("rows.dot(entry.T, part)", "rows.dot(-entry.T, part)"),
        ("dx[image] += added[own]", "dx[image] = added[own]"),
        ("out[own] += np.multiply(x[image], entry", "out[own] -= np.multiply(x[image], entry"),
        ("[number, :, at] += total", "[number, :, at] -= total"),
        ("dx[image] += np.multiply(d[own], entry", "dx[image] -= np.multiply(d[own], entry"),
    ],
    "layers/convolution/base.py": [
        (
            "ones(len(rows), self.dtype).dot(rows, self.bias.gradient)",
            "np.mean(rows, axis=0, out=self.bias.gradient)",
        ),
        (
            "np.add.reduce(dy, axis=tuple(range(dy.ndim - 1))",
            "np.mean(dy, axis=tuple(range(dy.ndim - 1))",
        ),
    ],
    "layers/convolution/conv.py": [
        ("y[part] += self.bias.value", "y[part] -= self.bias.value"),
        ("slice(i * taken, (i + 1) * taken)", "slice(0, taken)"),
        ("part.start == rows.start == 0", "part.start == 0"),
    ],
    "layers/pooling/pooling.py": [
        ("left[own] -= given[own]", "pass"),
        ("gradient[entry] += given[own]", "gradient[entry] = given[own]"),
        ("mean /= found.inside.astype(self.dtype)", "mean /= found.inside.max()"),
        ("dx[part][entry] += share[own]", "dx[part][entry] -= share[own]"),
    ],
    "layers/pooling/global_pooling.py": [
        ("self._kept(dy, x) / number", "self._kept(dy, x)"),
        ("np.divide(self._kept(dy, dx), number", "np.divide(self._kept(dy, dx), -number"),
        ("where=counts, out=y)", "out=y)"),
        (
            "np.multiply(counts, self._kept(dy, dx) / number",
            "np.multiply(1, self._kept(dy, dx) / number",
        ),
    ],
    "layers/reshaping/margins.py": [
        ("slice(low, n - high)", "slice(high, n - low)"),
        ("n + sign * sum(margins)", "n - sign * sum(margins)"),
    ],
    "layers/reshaping/up_sampling.py": [
        ("np.add.reduce(self._copies(dy, dx)", "np.maximum.reduce(self._copies(dy, dx)"),
    ],
}

"""Mistakes in the operations of nnlite.ops: the file, the line, the mistake."""

MUTANTS = {
    "ops/operation.py": [
        ("summed = product.sum(axis=(*range(extra), *stretched))", "summed = product[:1].sum()"),
        ("(*range(extra), *stretched)", "(*stretched,)"),
        ("if size == 1)", "if size == 0)"),
        ("np.multiply(dy, factor, out=dx)", "np.copyto(dx, dy)"),
        ("if len(known) > 1:", "if len(known) > 2:"),
        ("and beside != self._beside", "and False"),
        ("[*input_dtypes, *self._beside]", "[*input_dtypes]"),
        ("if len(found) != len(axes):", "if len(found) > len(axes):"),
    ],
    "ops/elementwise.py": [
        ("chain(dx, dy, -1)", "chain(dx, dy)"),
        ("chain(dx, dy, np.sign(x))", "chain(dx, dy, x)"),
        ("chain(dx, dy, 2 * x)", "chain(dx, dy, x)"),
        ("chain(dx, dy, 0.5 / y)", "chain(dx, dy, 1 / y)"),
        ("chain(dx, dy, y)", "chain(dx, dy)"),
        ("chain(dx, dy, 1 / x)", "chain(dx, dy, x)"),
        ("_share(x, self.x_min) * ", ""),
        ("chain(dx[1], dy, -1)", "chain(dx[1], dy)"),
        ("chain(dx[0], dy, x[1])", "chain(dx[0], dy, x[0])"),
        ("chain(dx[1], dy, -y / x[1])", "chain(dx[1], dy, y / x[1])"),
        ("np.where(np.equal(b, 0), 1, np.subtract(b, 1))", "np.subtract(b, 1)"),
        ("np.log(np.where(np.equal(a, 0), 1, a))", "np.log(a)"),
        ("chain(dx[0], dy, _share(x[0], x[1]))", "chain(dx[0], dy)"),
        ("chain(dx[1], dy, _share(x[0], x[1]))", "chain(dx[1], dy, _share(x[1], x[0]))"),
    ],
    "ops/reductions.py": [
        ("x.shape), 1 / count)", "x.shape))"),
        (
            "np.where(found, self._back(dy, x), 0), 1 / count)",
            "np.where(found, self._back(dy, x), 0))",
        ),
        ("keepdims=True), 1)  #", "keepdims=True), 0)  #"),
        ("dy @ b.swapaxes(-1, -2)", "dy @ b"),
        ("b, dy = b[:, None], dy[..., None]", "b, dy = b[:, None], dy[None]"),
        ("(left != right and", "(left == right and"),
    ],
    "ops/arranging.py": [
        ("np.moveaxis(dy, self.axis, 0)", "np.moveaxis(dy, 0, 0)"),
        ("np.split(dy, ends, self.axis)", "np.split(dy, ends, 0)"),
        (
            "_put(dx, np.concatenate(dy, self.axis))",
            "_put(dx, np.concatenate(dy[::-1], self.axis))",
        ),
        ("np.argsort([axis % dy.ndim for axis in self.axes])", "self.axes"),
        ("            dx[0].fill(0)\n", "            dx[0].fill(1)\n"),
        ("self._found = axes", "pass"),
        ("outside |= size is not None and not -size", "outside |= size is not None and not 0"),
    ],
    "ops/neural.py": [
        ('int(self.output_dtype.startswith("float"))', "0"),
        ("np.moveaxis(y, self.axis, -1)", "y"),
    ],
    "ops/tensorflow.py": [
        ("sum(sizes[: i + 1])", "sizes[i]"),
        ('key == "name" or value is None or value is False', 'key == "name"'),
        ('if spec.get("class_name") == "__ellipsis__":', "if False:"),
    ],
}

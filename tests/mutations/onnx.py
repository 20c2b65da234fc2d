"""One mistake in each rule by which a model becomes an ONNX file: file, rule, mistake."""

MUTANTS = {
    "saving/onnx/builder.py": [
        ("if count else name", "if False else name"),
        ("if key not in self._constants:", "if True:"),
        ("needed.update(call.inputs)", "needed.update(graph.inputs)"),
        ("if by_us and cls in FORMS", "if cls in FORMS"),
        ("if isinstance(owner, _MaskOf):", "if False:"),
    ],
    "saving/onnx/exporting.py": [
        ("_check_size(model, len(content))", "pass"),
        ("(None, *shape[1:]), dtype)", "shape, dtype)"),
        ("not all(map(fits, shapes, wanted))", "False"),
    ],
    "saving/onnx/protobuf.py": [
        ("kind += 5 * listed", "kind += 4 * listed"),
        ("if any(_TABLES.encode() in one for one in nodes):", "if True:"),
    ],
    "saving/onnx/recurrent.py": [
        ("if layer.stateful:", "if False:"),
    ],
    "saving/onnx/tables.py": [
        ("if layer.num_oov_indices != 1:", "if layer.num_oov_indices > 1:"),
        ("if default is None:", "if False:"),
        ("if layer.bin_boundaries is None:", "if False:"),
    ],
    "utils/protobuf.py": [
        ("number &= 2**64 - 1", "number = abs(number)"),
        ("number & 127 | 128", "number & 127"),
    ],
}

"""Models as ONNX files, which other programs run. Writing them needs no ONNX package.

See `nnlite.Model.export`.
"""

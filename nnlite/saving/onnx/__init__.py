"""Models as ONNX files, which other programs run; they are written without any of ONNX's own code.

See `nnlite.Model.export`.
"""

"""Differentiable functions of tensors and arrays, with Keras's names."""

# ruff: noqa: A004

from typing import TYPE_CHECKING

from nnlite.utils.lazy import on_first_use

if TYPE_CHECKING:
    from nnlite.ops.functions import (
        abs,
        absolute,
        add,
        cast,
        clip,
        concatenate,
        divide,
        exp,
        expand_dims,
        log,
        matmul,
        max,
        maximum,
        mean,
        min,
        minimum,
        multiply,
        negative,
        one_hot,
        power,
        relu,
        reshape,
        sigmoid,
        softmax,
        split,
        sqrt,
        square,
        squeeze,
        stack,
        subtract,
        sum,
        tanh,
        transpose,
        true_divide,
    )

__all__ = [
    "abs",
    "absolute",
    "add",
    "cast",
    "clip",
    "concatenate",
    "divide",
    "exp",
    "expand_dims",
    "log",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "multiply",
    "negative",
    "one_hot",
    "power",
    "relu",
    "reshape",
    "sigmoid",
    "softmax",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "subtract",
    "sum",
    "tanh",
    "transpose",
    "true_divide",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = on_first_use(__name__, {"nnlite.ops.functions": " ".join(__all__)})

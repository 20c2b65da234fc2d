"""Operations for the TensorFlow functions in files of Keras 2."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nnlite.ops import arranging, elementwise, neural, reductions
from nnlite.ops.operation import Operation

#: For each function: the operation, TensorFlow's names of the arguments, and the constructor
#: argument for each other name.
_Entry = tuple[Callable[..., Operation], tuple[str, ...], Mapping[str, str]]

_AXES = {"axis": "axis", "keepdims": "keepdims"}
_X: tuple[str, ...] = ("x",)
_XY = ("x", "y")


def _split(sizes: int | Sequence[int], axis: int = 0) -> Operation:
    """Return the operation for tf.split, which takes sizes where Keras takes ends."""
    if isinstance(sizes, int):
        return arranging.Split(sizes, axis)
    if any(size < 0 for size in sizes):
        raise ValueError(f"tf.split is read with all sizes given. Received: {sizes}")
    return arranging.Split([sum(sizes[: i + 1]) for i in range(len(sizes) - 1)], axis)


_FUNCTIONS: dict[str, _Entry] = {
    **{
        f"math.{name}": (getattr(elementwise, name.title()), _XY, {})
        for name in ("add", "subtract", "multiply", "divide", "maximum", "minimum")
    },
    "math.truediv": (elementwise.TrueDivide, _XY, {}),
    "math.pow": (elementwise.Power, _XY, {}),
    **{
        f"math.{name}": (getattr(elementwise, name.title()), _X, {})
        for name in ("negative", "square", "sqrt", "exp", "log")
    },
    "math.abs": (elementwise.Absolute, _X, {}),
    "math.sigmoid": (neural.Sigmoid, _X, {}),
    "math.tanh": (neural.Tanh, _X, {}),
    **{
        f"math.reduce_{name}": (getattr(reductions, name.title()), ("input_tensor",), _AXES)
        for name in ("sum", "mean", "max", "min")
    },
    "linalg.matmul": (reductions.Matmul, ("a", "b"), {}),
    "concat": (arranging.Concatenate, ("values",), {"axis": "axis"}),
    "stack": (arranging.Stack, ("values",), {"axis": "axis"}),
    "split": (_split, ("value",), {"num_or_size_splits": "sizes", "axis": "axis"}),
    "reshape": (arranging.Reshape, ("tensor",), {"shape": "newshape"}),
    "transpose": (arranging.Transpose, ("a",), {"perm": "axes"}),
    "expand_dims": (arranging.ExpandDims, ("input",), {"axis": "axis"}),
    "squeeze": (arranging.Squeeze, ("input",), {"axis": "axis"}),
    "clip_by_value": (
        elementwise.Clip,
        ("t",),
        {"clip_value_min": "x_min", "clip_value_max": "x_max"},
    ),
    "nn.relu": (neural.Relu, ("features",), {}),
    "nn.softmax": (neural.Softmax, ("logits",), {"axis": "axis"}),
    "one_hot": (
        neural.OneHot,
        ("indices",),
        {"depth": "num_classes", "axis": "axis", "dtype": "dtype"},
    ),
    "cast": (neural.Cast, _X, {"dtype": "dtype"}),
    "__operators__.getitem": (arranging.GetItem, ("x", "slice_spec"), {}),
}

#: Aliases.
_ALIASES = {
    "nn.sigmoid": "math.sigmoid",
    "nn.tanh": "math.tanh",
    "math.scalar_mul": "math.multiply",
    **{
        f"__operators__.{name}": f"math.{function}"
        for name, function in {
            "add": "add",
            "sub": "subtract",
            "mul": "multiply",
            "truediv": "truediv",
            "pow": "pow",
            "neg": "negative",
        }.items()
    },
    "__operators__.matmul": "linalg.matmul",
}


def from_tf_function(
    function: str, first: Any, named: Mapping[str, Any]
) -> tuple[Operation, tuple[Any, ...]]:
    """Return the operation for a TensorFlow function, and its arguments.

    Args:
        function: The function's name in a file of Keras 2, such as ``"math.add"``: the
            ``"function"`` of a ``TFOpLambda`` or ``SlicingOpLambda``.
        first: The function's first argument: a tensor, a constant, or a list of them.
        named: Further arguments by TensorFlow's names.

    >>> operation, arguments = from_tf_function("math.reduce_mean", 1.0, {"axis": -1})
    >>> operation, arguments
    (Mean(axis=-1), (1.0,))
    """
    known = function.removeprefix("compat.v1.")
    known = _ALIASES.get(known, known)
    if known not in _FUNCTIONS:
        raise ValueError(
            f"TensorFlow's function {function!r:.200} is not read. Those that are: "
            f"{', '.join(sorted({*_FUNCTIONS, *_ALIASES}))}."
        )
    make, (first_name, *others), renamed = _FUNCTIONS[known]
    given = {first_name: first, **named}
    if "slice_spec" in given:
        given["slice_spec"] = _key(given["slice_spec"])
    else:
        given = {key: value for key, value in given.items() if not _is_off(key, value)}
    options = {renamed[key]: given.pop(key) for key in renamed if key in given}
    if set(given) != {first_name, *others}:
        raise ValueError(
            f"tf.{function} is read with {', '.join([first_name, *others, *renamed])}. "
            f"Received: {', '.join(given)}"
        )
    return make(**options), tuple(given[key] for key in (first_name, *others))


def _is_off(key: str, value: Any) -> bool:
    """Return whether an argument is the name of the call or has its default value."""
    return key == "name" or value is None or value is False


def _key(spec: Any) -> Any:
    """Return the key of a slice from its form in files."""
    if isinstance(spec, list):
        return [_key(part) for part in spec]
    if not isinstance(spec, Mapping):
        return spec
    if spec.get("class_name") == "__ellipsis__":
        return Ellipsis
    return slice(spec.get("start"), spec.get("stop"), spec.get("step"))

"""Validation of arguments: arrays of the right kind, or clear errors."""

from __future__ import annotations

import inspect
import math
import numbers
import os
from collections.abc import Iterator, Mapping
from types import FunctionType
from typing import Any

import numpy as np

from nnlite.utils.typing import Array

_TEXT = (
    "Text must become numbers first: labels by numpy.unique(labels, return_inverse=True)[1], a "
    "category by StringLookup in the model, behind Input((1,), dtype='string')"
)

# Advice for entries that are not numbers, by the kind of their type.
_ADVICE = {
    "U": _TEXT,
    "S": _TEXT,
    "M": "Dates must become numbers first, for instance days since the first of them",
    "m": "Durations must become numbers first: divide by numpy.timedelta64(1, 's')",
    "c": "Give real and imaginary parts as features of their own",
}

_MAX_AXES = 64  # of NumPy arrays

_CHUNK = 65_536  # entries checked together, so that temporaries stay in the cache


class ArgumentError(TypeError, ValueError):
    """An argument of the wrong type: a TypeError, and a ValueError as in Keras."""


class ChecksArguments:
    """Base class that refuses ``use_bias="no"``, which Python takes as true, and ``name=5``.

    It checks those arguments of nnlite's constructors that are True or False by default, and names.
    None counts as False.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Return a new object, once the arguments have been checked."""
        if (args or kwargs) and cls.__init__ is object.__init__:
            raise TypeError(f"{cls.__name__}() takes no arguments")
        rest, named = args, dict(kwargs)
        for owner in cls.__mro__:
            init: Any = inspect.unwrap(vars(owner).get("__init__"))  # type: ignore[arg-type]
            if not (rest or named) or not isinstance(init, FunctionType):
                continue
            code, defaults = init.__code__, init.__defaults__ or ()
            positional = code.co_varnames[1 : code.co_argcount]
            named.update(zip(positional, rest, strict=False))
            rest = ()  # a base class takes the rest by name
            default = dict(zip(reversed(positional), reversed(defaults), strict=False))
            default |= init.__kwdefaults__ or {}
            for name in code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]:
                value = named.pop(name, None)
                if value is None or owner.__module__[:7] != "nnlite.":
                    continue
                if name == "name" and not isinstance(value, str):
                    raise ArgumentError(f"name must be a string. Received: name={value!r}")
                if isinstance(default.get(name), bool):
                    check_flag(name, value)
        new: Any = super().__new__
        return new(cls) if new is object.__new__ else new(cls, *args, **kwargs)


def as_numeric(name: str, value: Any) -> Array:
    """Return ``value`` as an array of real numbers or booleans, without a copy if possible."""
    if type(value) is np.ndarray and value.dtype.kind in "fiub":
        return value
    if value is None:
        raise ArgumentError(f"{name} is missing. Expected an array of numbers. Received: None")
    if isinstance(value, np.ma.MaskedArray) and value.mask.any():
        raise ArgumentError(
            f"{name} is a masked array with gaps. Fill them first: {name}.filled(0)"
        )
    if is_sparse(value):
        raise ArgumentError(
            f"{name} is a sparse {type(value).__name__}. Pass {name}.toarray(), or where that does "
            "not fit in memory, a generator of batches, each made dense."
        )
    try:
        foreign = hasattr(value, "__dlpack__") and not hasattr(value, "__array__")
        array = np.from_dlpack(value) if foreign else np.asarray(value)
    except MemoryError:
        raise
    except Exception as error:  # arrays of other packages may raise any type
        kind = type(value).__name__
        ragged = isinstance(error, ValueError) and isinstance(value, (list, tuple))
        if ragged:
            raise ValueError(
                f"{name} must be a rectangular array of numbers: all rows of one length. "
                f"Received: {kind} ({error})"
            ) from None
        symbolic = "symbolic" in str(error)
        advice = (
            "A symbolic tensor holds no numbers: give the data themselves."
            if symbolic
            else "Convert it to a NumPy array of floats first."
        )
        raise ArgumentError(
            f"{name} must be an array of numbers. {advice} Received: {kind}, which says: {error}"
        ) from error
    if array.dtype.kind not in "fiub" and array.ndim == 2 and hasattr(value, "columns"):
        # A data frame of mixed types: check each column, and name the wrong one.
        labels = list(value.columns)
        if len(set(labels)) == len(labels):
            columns = [as_numeric(f"{name}[{label!r}]", value[label]) for label in labels]
            return np.column_stack(columns)
    if array.dtype.kind not in "fiub":
        foreign = array.dtype == object and array.ndim == 0
        kind = type(value).__name__ + ("" if foreign else f" of type {array.dtype}")
        raise ArgumentError(
            f"{name} must hold real numbers. Received: {kind}. {_advice(name, value, array)}."
        )
    return array


def _advice(name: str, value: Any, array: Array) -> str:
    """Return advice for ``value``, whose ``array`` does not hold numbers."""
    if array.dtype.names:
        return "Make its fields columns: numpy.lib.recfunctions.structured_to_unstructured"
    if array.dtype.kind != "O":
        return _ADVICE.get(
            array.dtype.kind, "Convert it first, for instance with .astype('float32')"
        )
    if array.ndim == 0:
        return _advice_for_object(name, value)
    for index, entry in np.ndenumerate(array):
        if isinstance(entry, (numbers.Real, np.bool_)):
            continue
        at = f"{name}[{', '.join(map(str, index))}]"
        if isinstance(entry, (str, bytes)):
            return f"{at} is {entry!r:.40}. {_TEXT}"
        if entry is None or type(entry).__name__ in ("NAType", "NaTType"):
            return f"{at} is {entry}. Drop such rows, or fill the gaps, first"
        return f"{at} is of type {type(entry).__name__}, which is not a number"
    return "Convert it first, for instance with .astype('float32')"


def _advice_for_object(name: str, value: Any) -> str:
    """Return advice for an object that NumPy cannot convert."""
    if inspect.isroutine(value):
        return "It is a function: call it, and pass the result"
    if isinstance(value, type):
        return "It is a class: pass an instance"
    if isinstance(value, Mapping):
        return (
            "The model takes one array: stack the columns, "
            f"numpy.column_stack(list({name}.values()))"
        )
    if isinstance(value, Iterator):
        return f"Collect its elements first, numpy.array(list({name}))"
    if hasattr(value, "collect"):
        return f"Compute it first, {name}.collect()"
    return "Pass a NumPy array, a list of numbers, a data frame, or an object with __array__"


def only_one(value: Any, rank: int) -> Any:
    """Return the only element of a list if it has at least ``rank`` axes, else ``value``.

    >>> only_one([np.ones((2, 3))], 2).shape
    (2, 3)
    """
    if isinstance(value, (list, tuple)) and len(value) == 1:
        (array,) = value
        return array if len(getattr(array, "shape", ())) >= rank else value
    return value


def with_rank_of(array: Array, shape: tuple[Any, ...] | None) -> Array:
    """Return ``array`` with a last axis of size 1 added or removed to match ``shape``, as in Keras.

    Without a shape, a vector is one feature of many samples.

    >>> with_rank_of(np.ones(5), (None, 1)).shape
    (5, 1)
    """
    size, rank = (1, 2) if shape is None else (shape[-1], len(shape))
    if array.ndim == rank - 1 and array.size and array.ndim and size == 1:
        return array[..., None]
    if shape is not None and array.ndim == rank + 1 and array.shape[-1] == 1:
        return array[..., 0]
    return array


def is_listed(value: Any) -> bool:
    """Return whether ``value`` can be iterated and is not text.

    >>> is_listed([5]), is_listed("ab"), is_listed(np.array(5))
    (True, False, False)
    """
    return np.iterable(value) and not isinstance(value, (str, bytes))


def is_sparse(value: Any) -> bool:
    """Return whether ``value`` is a SciPy sparse matrix."""
    return hasattr(value, "toarray") and hasattr(value, "nnz")


def as_features(name: str, value: Any, rank: int = 2) -> Array:
    """Return ``value`` as an array of at least ``rank`` axes, the first of them samples."""
    text = isinstance(value, np.ndarray) and value.dtype == object
    array = value if text else as_numeric(name, value)
    if array.ndim < rank:
        raise ValueError(
            f"{name} must have an axis of samples and at least one of features. Received: shape "
            f"{array.shape}. One sample is x[None, :]; one feature of many samples, x[:, None]."
        )
    if array.size == 0:
        raise ValueError(f"{name} is empty. Received: shape {array.shape}")
    return array


def as_samples(name: str, value: Any) -> Array:
    """Return ``value`` as a numeric array with at least one sample (possibly a number)."""
    array = as_numeric(name, value)
    if array.ndim == 0 or array.size == 0:
        raise ValueError(f"{name} must hold samples. Received: shape {array.shape}")
    return array


def as_text(name: str, value: Any) -> Array:
    """Return ``value`` as an array of objects that are all `str`; bytes are read as UTF-8.

    >>> as_text("x", ["red", b"blue"])
    array(['red', 'blue'], dtype=object)
    """
    array = np.asarray(value, dtype=object)
    if array.ndim == 0 or array.size == 0:
        raise ValueError(f"{name} must hold samples. Received: shape {array.shape}")
    if set(map(type, array.flat)) == {str}:
        return array
    text = np.empty(array.shape, object)
    for index, entry in np.ndenumerate(array):
        if isinstance(entry, (str, bytes)):
            text[index] = entry.decode() if isinstance(entry, bytes) else str(entry)
            continue
        # A comparison with pandas.NA has no truth.
        gap = entry is None or type(entry).__name__ in ("NAType", "NaTType") or entry != entry
        advice = (
            "Drop such rows, or fill the gaps first, for instance with '[UNK]' or the mask_token "
            "of StringLookup"
            if gap
            else f"It is of type {type(entry).__name__}. Convert it first, by .astype(str)"
        )
        at = ", ".join(map(str, index))
        raise ArgumentError(f"{name} must hold text. Received: {name}[{at}] = {entry!r}. {advice}.")
    return text


def as_returned(source: str, value: Any, shape: tuple[int, ...], dtype: Any) -> Array:
    """Return the result of the user function ``source`` as an array of type ``dtype``."""
    array = as_numeric(f"what {source} returned", value)
    if array.shape != shape:
        raise ValueError(
            f"{source} must return an array of shape {shape}. Received: shape {array.shape}"
        )
    with np.errstate(over="ignore", under="ignore"):
        return array.astype(dtype, copy=False)


def all_finite(array: Array) -> bool:
    """Return whether all entries of a float array are finite.

    This takes one pass, and a second one only if the sum of squares overflows.

    >>> all_finite(np.array([1e200, 1.0])), all_finite(np.array([np.nan, 1.0]))
    (True, False)
    """
    return math.isfinite(np.vdot(array, array)) or bool(np.isfinite(array).all())


def check_finite(name: str, array: Array, dtype: Any) -> None:
    """Raise a ValueError if an entry is not finite in type ``dtype``."""
    if array.dtype.kind != "f" or not array.size:
        return
    narrows = array.dtype != dtype and array.dtype.itemsize > np.dtype(dtype).itemsize
    if array.size <= _CHUNK and not narrows and all_finite(array):
        return
    rows = max(1, _CHUNK * len(array) // array.size)
    for start in range(0, len(array), rows):
        part = array[start : start + rows]
        if narrows:
            with np.errstate(over="ignore", under="ignore"):
                part = part.astype(dtype)
        if not all_finite(part):
            first = np.argwhere(~np.isfinite(part))[0]
            where = (start + int(first[0]), *map(int, first[1:]))
            raise ValueError(
                f"{name} must be finite as {np.dtype(dtype).name}. "
                f"Received: {name}[{', '.join(map(str, where))}] = {array[where]}. "
                "Drop such rows, or fill the gaps, first."
            )


def check_entries(name: str, array: Array, dtype: np.dtype[Any]) -> None:
    """Refuse an array with an entry that is not a number, or text, of type ``dtype``.

    >>> check_entries("x", np.array([1.0, 2.5]), np.dtype("int32"))
    Traceback (most recent call last):
      ...
    ValueError: x must hold integers that fit into int32. Received: x[1] = 2.5
    """
    if dtype.kind == "O":
        as_text(name, array)
        return
    if array.dtype == dtype and dtype.kind == "f" and array.size <= _CHUNK and all_finite(array):
        return
    as_numeric(name, array)
    check_finite(name, array, dtype if dtype.kind == "f" else array.dtype)
    if dtype.kind == "f" or array.dtype in (dtype, bool):
        return
    least, most = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    wrong = ~((array >= least) & (array <= most))
    if array.dtype.kind == "f":
        wrong |= array != np.rint(array)
    if wrong.any():
        where = tuple(map(int, np.argwhere(wrong)[0]))
        raise ValueError(
            f"{name} must hold integers that fit into {dtype.name}. "
            f"Received: {name}[{', '.join(map(str, where))}] = {array[where]}"
        )


def check_axes_count(name: str, sizes: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return ``sizes``."""
    if len(sizes) > _MAX_AXES:
        raise ValueError(
            f"{name} must have at most {_MAX_AXES} sizes, like NumPy arrays. Received: {len(sizes)}"
        )
    return sizes


def check_flag(name: str, value: Any) -> bool:
    """Return ``value``, one of True, False, 1 and 0, as a boolean."""
    if not (isinstance(value, (bool, np.bool_, int, np.integer)) and value in (0, 1)):
        raise ArgumentError(f"{name} must be True or False. Received: {name}={value!r}")
    return bool(value)


def check_count(name: str, value: Any, minimum: int) -> int:
    """Return ``value`` as an integer of at least ``minimum``."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise ArgumentError(f"{name} must be an integer. Received: {name}={value!r}")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}. Received: {name}={value}")
    return int(value)


def check_sizes(name: str, value: Any, count: int, minimum: int = 1) -> tuple[int, ...]:
    """Return ``value``, an integer or ``count`` integers, as a tuple of ``count``.

    >>> check_sizes("strides", 2, 3), check_sizes("strides", [1, 2], 2)
    ((2, 2, 2), (1, 2))
    """
    if isinstance(value, (int, np.integer)):
        value = (value,) * count
    if not isinstance(value, (list, tuple)) or len(value) != count:
        raise ArgumentError(
            f"{name} must be an integer or a tuple of {count} integers. Received: {name}={value!r}"
        )
    return tuple(check_count(name, size, minimum) for size in value)


def check_fraction(name: str, value: Any, including_one: bool = False) -> float:
    """Return ``value`` as a number in [0, 1), or in [0, 1] ``including_one``."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.number)):
        raise ArgumentError(f"{name} must be a number. Received: {name}={value!r}")
    if not (0 <= value < 1 or (including_one and value == 1)):
        end = "]" if including_one else ")"
        raise ValueError(f"{name} must lie in [0, 1{end}. Received: {name}={value}")
    return float(value)


def optional_count(name: str, value: Any) -> int | None:
    """Return ``value`` as an integer of at least 1, or None; raises as `check_count`."""
    return None if value is None else check_count(name, value, 1)


def as_number(name: str, value: Any) -> float:
    """Return ``value`` as a number, which may be NaN or infinite."""
    if isinstance(value, (bool, str)) or not hasattr(value, "__float__") or np.ndim(value):
        raise ArgumentError(f"{name} must be a number. Received: {name}={value!r}")
    return float(value)


def check_number(name: str, value: Any, minimum: float = 0.0) -> float:
    """Return ``value`` as a finite number of at least ``minimum``."""
    result = as_number(name, value)
    if not (math.isfinite(result) and result >= minimum):
        raise ValueError(f"{name} must be a finite number >= {minimum:g}. Received: {value!r}")
    return result


def check_positive(name: str, value: Any) -> float:
    """Return ``value`` as a finite number above 0; raises as `check_number`."""
    result = check_number(name, value)
    if not result:
        raise ValueError(f"{name} must be positive. Received: {name}={value!r}")
    return result


def check_path(name: str, value: Any) -> str:
    """Return ``value``, a string or a path object, as a string."""
    if not isinstance(value, (str, os.PathLike)):
        raise ArgumentError(f"{name} must be a path. Received: {name}={value!r}")
    return os.fspath(value)


def check_axis(axis: Any) -> int:
    """Return ``axis`` as an integer."""
    if not isinstance(axis, (int, np.integer)) or isinstance(axis, bool):
        raise ArgumentError(f"axis must be an integer. Received: axis={axis!r}")
    return int(axis)


def sample_weights(name: str, value: Any, shape: tuple[int, ...], dtype: Any) -> Array:
    """Return weights, one for each sample or for each loss of ``shape``."""
    array = as_numeric(name, value)
    if array.shape == (*shape, 1) or array.shape == (*shape[:1], 1):
        array = array[..., 0]
    if array.shape not in (shape, shape[:1]):
        raise ValueError(
            f"{name} must have one entry per sample, shape {shape[:1]}. "
            f"Received: shape {array.shape}"
        )
    check_finite(name, array, dtype)
    return array

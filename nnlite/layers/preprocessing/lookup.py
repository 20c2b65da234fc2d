"""Vocabularies: the index of each token, text or an integer."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any, ClassVar

import numpy as np

from nnlite.backend.structure_cache import invalidate
from nnlite.layers.layer import dtype_policy, registry
from nnlite.layers.preprocessing.encoding import Encoder, batches_of
from nnlite.layers.preprocessing.hashing import as_salt, hash_bins
from nnlite.serialization.objects import serialize_keras_object
from nnlite.utils.typing import Array
from nnlite.utils.validation import (
    ArgumentError,
    as_numeric,
    as_samples,
    as_text,
    check_count,
    check_finite,
    check_flag,
    is_listed,
)


class Vocabulary(Encoder):
    """Base class of layers whose configuration may contain a vocabulary."""

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """Create a layer from the result of `get_config`.

        Raises:
            ValueError: If the vocabulary is the name of a file, which is not opened.
        """
        if not isinstance(config.get("vocabulary"), (list, tuple, NoneType)):
            raise ValueError(  # noqa: TRY004  of a file
                f"A configuration of {cls.__name__} has its vocabulary in a list. Received: "
                f"vocabulary={config['vocabulary']!r:.200}"
            )
        return super().from_config(config)


class IndexLookup(Vocabulary):
    """Base class of `StringLookup` and `IntegerLookup`.

    The first index belongs to the ``mask_token``, if there is one and the mode is ``"int"``; then
    come the indices for unknown tokens, then the vocabulary.
    """

    modes = ("int", "one_hot", "multi_hot", "count", "tf_idf")

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: Any = None,
        oov_token: Any = "[UNK]",
        vocabulary: Any = None,
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        pad_to_max_tokens: bool = False,
        salt: Any = None,
        oov_method: str = "floormod",
        vocabulary_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.set_mode(output_mode)
        self.max_tokens = None if max_tokens is None else check_count("max_tokens", max_tokens, 2)
        self.num_oov_indices = check_count("num_oov_indices", num_oov_indices, 0)
        self.mask_token = self._token("mask_token", mask_token)
        self.oov_token = self._token("oov_token", oov_token)
        self.invert = check_flag("invert", invert)
        self.pad_to_max_tokens = check_flag("pad_to_max_tokens", pad_to_max_tokens)
        self.oov_method, self.salt = oov_method, as_salt(salt)
        if oov_method not in ("floormod", "farmhash"):
            raise ValueError(
                f"oov_method must be 'floormod' or 'farmhash'. Received: oov_method={oov_method!r}"
            )
        for wrong, what in (
            (pad_to_max_tokens and max_tokens is None, "pad_to_max_tokens=True needs max_tokens"),
            (invert and self.output_mode != "int", "invert=True needs output_mode='int'"),
            (
                idf_weights is not None and self.output_mode != "tf_idf",
                "idf_weights are for output_mode='tf_idf'",
            ),
            (
                self.output_mode == "tf_idf" and vocabulary is not None and idf_weights is None,
                "output_mode='tf_idf' needs idf_weights with a vocabulary",
            ),
            (
                self._whole_salt and self.salt is not None and oov_method != "farmhash",
                "salt needs oov_method='farmhash'",
            ),
        ):
            if wrong:
                raise ValueError(f"{what}. Received: output_mode={output_mode!r}")
        self._frozen_size = vocabulary_size
        self._tokens: list[Any] | None = None
        self._idf: Array | None = None
        if invert:
            self.default_input_dtype, self.takes_strings = "int64", False
        self.vocabulary: list[Any] | None = None  # as it was given, for the configuration
        self.idf_weights: list[float] | None = None
        self.reset_state()
        if vocabulary is not None:
            self.set_vocabulary(vocabulary, idf_weights)
            if not isinstance(vocabulary, (str, os.PathLike)):
                self.vocabulary = self._as_tokens("vocabulary", vocabulary).tolist()
            self.idf_weights = None if idf_weights is None else np.asarray(idf_weights).tolist()
            self._given = True

    _given = False  # whether the vocabulary was given to the constructor

    #: Whether tokens are integers, hashed only by ``oov_method``.
    _whole_salt = False

    def _token(self, name: str, token: Any) -> Any:
        if is_listed(token):
            raise ArgumentError(f"{name} must be one token. Received: {name}={token!r}")
        return None if token is None else self._as_tokens(name, [token]).tolist()[0]

    def _as_tokens(self, name: str, value: Any) -> Array:
        """Return ``value`` as an array of tokens, or raise an error that names the entry."""
        raise NotImplementedError

    @property
    def lookup(self) -> IndexLookup:
        """The layer that has the vocabulary: this one."""
        return self

    # ---- the vocabulary -------------------------------------------------------------------

    def _oov_start(self) -> int:
        return int(self.mask_token is not None and self.output_mode == "int")

    def _special_tokens(self) -> list[Any]:
        return [self.mask_token] * self._oov_start() + [self.oov_token] * self.num_oov_indices

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
        """Return the tokens, each at its index; optionally without the special ones."""
        special = self._special_tokens() if include_special_tokens else []
        return [*special, *(self._tokens or [])]

    def vocabulary_size(self) -> int:
        """Return the number of tokens, including the special ones."""
        return len(self.get_vocabulary())

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Set the vocabulary, instead of `adapt`.

        Args:
            vocabulary: The tokens, with or without the special ones in front; or the name of a
                text file with a token in each line.
            idf_weights: For ``output_mode="tf_idf"``, the weight of each token.

        Raises:
            TypeError: If a token has another type.
            ValueError: If the vocabulary is empty, larger than ``max_tokens``, has a token twice,
                or has a special token that is not in front.
            RuntimeError: If each token has a column, and the number of tokens changes.
        """
        if (idf_weights is None) == (self.output_mode == "tf_idf"):
            raise ValueError(
                "idf_weights must be given with output_mode='tf_idf', and only then. Received: "
                f"output_mode={self.output_mode!r}, idf_weights={idf_weights!r:.100}"
            )
        if isinstance(vocabulary, (str, os.PathLike)):
            with open(vocabulary, encoding="utf-8") as file:
                vocabulary = self._from_lines(file.read())
        if not np.size(vocabulary):
            raise ValueError(f"vocabulary must hold tokens. Received: vocabulary={vocabulary!r}")
        given = self._as_tokens("vocabulary", vocabulary).ravel().tolist()
        special = self._special_tokens()
        whole = given[: len(special)] == special
        tokens = given[len(special) :] if whole else given
        counts = Counter(tokens)
        if len(counts) < len(tokens):
            twice = [token for token in counts if counts[token] > 1][:10]
            raise ValueError(f"vocabulary must have each token once. Received: twice {twice}")
        for name in ("mask_token", *(["oov_token"] if self.invert else [])):
            if getattr(self, name) in counts:
                raise ValueError(
                    f"vocabulary must begin with the special tokens {special}, or contain none of "
                    f"them. Received: {name}={getattr(self, name)!r} at index "
                    f"{given.index(getattr(self, name), len(special) if whole else 0)}"
                )
        weights = None
        if idf_weights is not None:
            weights = as_numeric("idf_weights", idf_weights).astype(self.dtype)
            check_finite("idf_weights", weights, self.dtype)
            if weights.shape != (len(given),):
                raise ValueError(
                    f"idf_weights must have one weight for each of the {len(given)} tokens. "
                    f"Received: shape {weights.shape}"
                )
            if not whole:
                weights = np.pad(weights, (len(special), 0), constant_values=weights.mean())
        self._hold(tokens, weights)

    def _hold(self, tokens: list[Any], weights: Array | None) -> None:
        """Set the tokens without the special ones, and the weights of all."""
        size = len(self._special_tokens()) + len(tokens)
        if self.max_tokens is not None and size > self.max_tokens:
            raise ValueError(
                f"vocabulary must have at most max_tokens={self.max_tokens} tokens, including the "
                f"special ones. Received: {size}"
            )
        columns = self.output_mode != "int" and not self.pad_to_max_tokens
        if columns and self._frozen_size not in (None, size):
            raise RuntimeError(
                f"Layer {self.name!r} has a column for each of its {self._frozen_size} tokens, "
                f"which later layers rely on. Received: a vocabulary of {size}. Make a new layer, "
                "or give max_tokens and pad_to_max_tokens=True."
            )
        if weights is not None and self.pad_to_max_tokens:
            weights = np.pad(weights, (0, (self.max_tokens or size) - size))
        self._tokens, self._idf, self._frozen_size = tokens, weights, size
        start = size - len(tokens)
        self._table = {token: start + at for at, token in enumerate(tokens)}
        invalidate()  # the shape of the output may be another one

    # ---- measuring ------------------------------------------------------------------------

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Make the vocabulary from the tokens in ``data``, the most frequent ones first.

        Of equally frequent tokens, the largest comes first, as in Keras. For ``"tf_idf"``, the
        weight of a token is log(1 + samples / (1 + samples that contain it)).

        Args:
            data: A list, an array or a frame's column, or an iterable of these.
            steps: The number of arrays to take from an iterable; None takes all.

        Raises:
            TypeError: If an entry is missing or not a token.
            ValueError: If the vocabulary was given to the constructor.
        """
        self.reset_state()
        for batch in batches_of(data, steps):
            whole = batch is data and self._as_tokens("data", batch).ndim == 1
            self.update_state(np.asarray(batch, dtype=object)[:, None] if whole else batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Count the tokens of an array; for ``"tf_idf"`` a vector is one sample."""
        if self._given:
            raise ValueError(
                f"Layer {self.name!r} was given a vocabulary: there is nothing to adapt."
            )
        array = self._as_tokens("data", data)
        self.count_tokens((array[None] if array.ndim == 1 else array).tolist())

    def count_tokens(self, samples: Sequence[Any]) -> None:
        """Count the tokens of samples, each a list of tokens."""
        for sample in samples:
            tokens = np.ravel(np.array(sample, dtype=object)).tolist()
            self._counts.update(tokens)
            self._documents.update(set(tokens))
        self._samples += len(samples)

    def finalize_state(self) -> None:
        """Make the vocabulary from the counts."""
        if not self._counts:
            return
        for token in (self.mask_token, self.oov_token):
            self._counts.pop(token, None)
        order = sorted(self._counts, key=lambda token: (self._counts[token], token), reverse=True)
        special = len(self._special_tokens())
        if self.max_tokens:
            order = order[: max(0, self.max_tokens - special)]
        weights = None
        if self.output_mode == "tf_idf":
            values = [math.log(1 + self._samples / (1 + self._documents[t])) for t in order]
            mean = float(np.mean(values, dtype=self.dtype)) if values else 0.0
            weights = np.array([mean] * special + values, self.dtype)
        self._hold(order, weights)
        self.reset_state()

    def reset_state(self) -> None:
        """Clear the counts, but not the vocabulary."""
        self._counts: Counter[Any] = Counter()
        self._documents: Counter[Any] = Counter()
        self._samples = 0

    # ---- looking up -----------------------------------------------------------------------

    def depth(self) -> int:
        """Return the number of columns."""
        columns = self.max_tokens if self.pad_to_max_tokens else self._frozen_size
        if columns is None:
            self._require_vocabulary()
        assert columns is not None
        return columns

    def _require_vocabulary(self) -> None:
        if self._tokens is None:
            raise RuntimeError(
                f"Layer {self.name!r} has no vocabulary yet: call adapt(data), or give vocabulary."
            )

    def forward_into(self, x: Array, y: Array) -> None:
        """Write the indices of ``x``, their columns, or the tokens of indices into ``y``."""
        self._require_vocabulary()
        super().forward_into(x, y)
        if self._idf is not None:
            y *= self._idf

    def indices(self, x: Array) -> Array:
        """Return the index of each entry, or the tokens of indices if ``invert``."""
        if self.invert:
            tokens = dict(enumerate(self.get_vocabulary()))
            named = [tokens.get(index, self.oov_token) for index in self._whole(x).flat]
            if None in named:
                raise ValueError(
                    f"Layer {self.name!r} has no oov_token for indices outside of its vocabulary."
                )
            return np.array(named, object).reshape(x.shape)
        x = self._as_tokens(f"the input of layer {self.name!r}", x)
        table = self._table
        found = np.array([table.get(token, -2) for token in x.ravel().tolist()], np.int64)
        found = found.reshape(x.shape)
        if self.mask_token is not None:
            found[x == self.mask_token] = 0 if self.output_mode == "int" else -1
        unknown = found == -2
        if not unknown.any():
            return found
        if not self.num_oov_indices:
            raise ValueError(
                f"Layer {self.name!r} has num_oov_indices=0, so each entry must be in its "
                f"vocabulary. Received: {x[unknown][:5].tolist()}. Give num_oov_indices=1."
            )
        rest = x[unknown]
        if self.num_oov_indices == 1:
            found[unknown] = self._oov_start()
        elif self._whole_salt and self.oov_method == "floormod":
            found[unknown] = self._oov_start() + rest % self.num_oov_indices
        else:
            found[unknown] = self._oov_start() + hash_bins(rest, self.num_oov_indices, self.salt)
        return found

    def _as_array(self, x: Any) -> Array:
        return as_samples("x", x) if self.invert else self._as_tokens("x", x)

    # ---- configuration and files -------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name; a vocabulary only if it was an argument."""
        own = {
            key: serialize_keras_object(getattr(self, key))
            for key in self._parameters()
            if key not in ("vocabulary_size", "dtype", "encoding") and hasattr(self, key)
        }
        size = {"vocabulary_size": self._frozen_size}
        return {**own, **self.fixed_config, **size, "dtype": dtype_policy(self.dtype)}

    def _shown(self) -> dict[str, Any]:
        return {key: part for key, part in super()._shown().items() if key != "vocabulary_size"}

    def save_own_variables(self, store: dict[str, Any]) -> None:
        """Put the weights of ``"tf_idf"`` into a file's ``store``."""
        if self._idf is not None:
            store["idf_weights"] = self._idf

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Load the weights of ``"tf_idf"``, which `take_vocabulary_text` then uses."""
        if self.output_mode == "tf_idf" and "idf_weights" in store:
            self._idf = np.asarray(store["idf_weights"], self.dtype)
            if self._tokens is not None:
                self._check_idf(len(self.get_vocabulary()))

    def _check_idf(self, size: int) -> None:
        wanted = self.max_tokens if self.pad_to_max_tokens else size
        if self._idf is None or self._idf.shape != (wanted,):
            raise ValueError(
                f"layer {self.name!r} needs {wanted} idf_weights. The file has "
                f"{'none' if self._idf is None else self._idf.shape}"
            )

    def vocabulary_text(self) -> str | None:
        """Return the text of a vocabulary that is not in the configuration, for a file.

        Raises:
            ValueError: If a token contains a line break, so that it could not be read.
        """
        if self.vocabulary is not None:
            return None
        tokens = self.get_vocabulary()
        text = "\n".join(map(str, tokens))
        if self._tokens and self._from_lines(text) != tokens:
            raise ValueError(
                f"Layer {self.name!r} has a token that is empty or has several lines, which "
                "Keras's files cannot hold. Give the layer its vocabulary at the start, "
                "vocabulary=layer.get_vocabulary()."
            )
        return text

    def take_vocabulary_text(self, text: str) -> None:
        """Load the vocabulary that `vocabulary_text` returned."""
        if self.vocabulary is not None:
            return
        tokens = self._as_tokens("vocabulary", self._from_lines(text) or ["-1"]).tolist()
        special = self._special_tokens()
        if tokens == special or not text:  # of a layer without a vocabulary
            return
        if tokens[: len(special)] != special or self._frozen_size not in (None, len(tokens)):
            raise ValueError(
                f"the vocabulary of layer {self.name!r} must begin with {special} and have "
                f"{self._frozen_size} tokens. Received: {tokens[: len(special)]!r:.200} and "
                f"{len(tokens)} tokens"
            )
        if self.output_mode != "tf_idf":
            self.set_vocabulary(tokens)
            return
        self._check_idf(len(tokens))
        weights = self._idf
        assert weights is not None  # already checked
        self.set_vocabulary(tokens, weights[: len(tokens)])

    def _from_lines(self, text: str) -> list[Any]:
        lines = text.splitlines()
        while lines and not lines[-1]:
            lines.pop()
        return lines


@registry.register()
class StringLookup(IndexLookup):
    """The index of each text in a vocabulary, or the text of each index.

    Missing values (None, NaN) are an error that names the row; fill them with the ``mask_token``.

    Args:
        max_tokens: The largest size of the vocabulary, with the special tokens.
        num_oov_indices: The number of indices for texts that are not in the vocabulary. If 0,
            such texts are an error; if several, FarmHash chooses one.
        mask_token: The text for missing values, with index 0 or no column.
        oov_token: The text for indices outside of the vocabulary if ``invert``.
        vocabulary: The texts, or the name of a file with one in each line; None for `adapt`.
        idf_weights: For ``"tf_idf"``, the weight of each text.
        invert: Whether to return the texts for indices.
        output_mode: ``"int"`` for the indices; ``"one_hot"``, ``"multi_hot"`` or ``"count"`` for a
            column for each index, as in `CategoryEncoding`; ``"tf_idf"`` for counts times weights.
        pad_to_max_tokens: Whether there are always ``max_tokens`` columns.
        salt: A key of one or two integers, for SipHash instead of FarmHash.
        oov_method: For `IntegerLookup`.
        vocabulary_size: Set by configurations without a vocabulary.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If an argument has the wrong type, or a token is not text.
        ValueError: If an argument has an unknown value, or arguments do not fit together.

    >>> layer = StringLookup(vocabulary=["a", "b", "c", "d"])
    >>> layer(np.array([["a", "c", "d"], ["d", "z", "b"]]))
    array([[1, 3, 4],
           [4, 0, 2]])
    >>> layer = StringLookup(output_mode="multi_hot")
    >>> layer.adapt(["red", "blue", "red"])
    >>> layer.get_vocabulary()
    ['[UNK]', 'red', 'blue']
    """

    takes_strings = True
    default_input_dtype = "string"

    fixed_config: ClassVar[Mapping[str, Any]] = {"sparse": False, "encoding": "utf-8"}

    def compute_output_dtype(self, *input_dtypes: str) -> str:
        """Return the type of text if ``invert``."""
        return "string" if self.invert else super().compute_output_dtype(*input_dtypes)

    def _as_tokens(self, name: str, value: Any) -> Array:
        return as_text(name, value)


@registry.register()
class IntegerLookup(IndexLookup):
    """The index of each integer in a vocabulary, or the integer of each index.

    Args:
        max_tokens: As for `StringLookup`, like the arguments that are not listed here.
        num_oov_indices: The number of indices for integers not in the vocabulary.
        mask_token: The integer for missing values, with index 0 or no column.
        oov_token: The integer for indices outside of the vocabulary if ``invert``.
        **kwargs: Among them ``oov_method``, which chooses one of several indices: ``"floormod"``
            by the remainder, ``"farmhash"`` by the hash of the digits.

    Raises:
        TypeError: If an argument has the wrong type, or a token is not an integer.
        ValueError: If an argument has an unknown value, or arguments do not fit together.

    >>> layer = IntegerLookup(vocabulary=[12, 36, 1138, 42], output_mode="count")
    >>> layer(np.array([[12, 1138, 42, 42], [42, 7, 36, 7]]))
    array([[0., 1., 0., 1., 2.],
           [2., 0., 1., 0., 1.]], dtype=float32)
    """

    default_input_dtype = "int64"

    fixed_config: ClassVar[Mapping[str, Any]] = {"sparse": False, "vocabulary_dtype": "int64"}

    _whole_salt = True

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: int | None = None,
        oov_token: int | None = -1,
        **kwargs: Any,
    ) -> None:
        super().__init__(max_tokens, num_oov_indices, mask_token, oov_token, **kwargs)

    def _as_tokens(self, name: str, value: Any) -> Array:
        array = np.asarray(value)
        if array.dtype == object:
            array = np.array(array.tolist())
        if array.size and array.dtype.kind not in "iubf":
            raise ArgumentError(f"{name} must hold integers. Received: {array.flat[0]!r}")
        return self._whole(as_samples(name, array))

    def _from_lines(self, text: str) -> list[Any]:
        try:
            return [int(line) for line in super()._from_lines(text)]
        except ValueError:
            raise ValueError(f"the vocabulary of layer {self.name!r} must be integers") from None

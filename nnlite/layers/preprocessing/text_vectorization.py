"""TextVectorization: the indices or the counts of the words of texts."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from nnlite.layers.layer import Layer, Shape, registry
from nnlite.layers.preprocessing.encoding import batches_of
from nnlite.layers.preprocessing.lookup import IndexLookup, StringLookup, Vocabulary
from nnlite.serialization.objects import serialize_keras_object
from nnlite.utils.typing import Array
from nnlite.utils.validation import as_text, check_count

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)  # as TensorFlow does it
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_STANDARDS: dict[str, tuple[Any, ...]] = {
    "lower": (_LOWER,),
    "strip_punctuation": (_NO_PUNCTUATION,),
    "lower_and_strip_punctuation": (_LOWER, _NO_PUNCTUATION),
}
_SPLITS: dict[str, Callable[[str], list[str]]] = {
    "whitespace": re.compile(r"[^ \t\n\r\x0b\f]+").findall,
    "character": list,
}


@registry.register()
class TextVectorization(Vocabulary):
    """The indices or the counts of the words in each text, by a vocabulary.

    Index 0 pads short texts (only in mode ``"int"``), and the next index stands for words that are
    not in the vocabulary. Only the letters A to Z are lowercased, as in Keras.

    Args:
        max_tokens: The largest size of the vocabulary, including those two.
        standardize: ``"lower_and_strip_punctuation"``, ``"lower"``, ``"strip_punctuation"``, None,
            or a function from an array of texts to another.
        split: ``"whitespace"``, ``"character"``, None for samples that are words, or a function
            from a vector of texts to the words of each.
        ngrams: The largest number of words in a token, or a tuple of the numbers to use.
        output_mode: ``"int"``, ``"multi_hot"``, ``"count"`` or ``"tf_idf"``, see `StringLookup`.
        output_sequence_length: For ``"int"``, the number of indices per sample; more are cut off.
            Required in a model.
        pad_to_max_tokens: Whether there are always ``max_tokens`` columns.
        vocabulary: The words, or the name of a file with one in each line; None for `adapt`.
        idf_weights: For ``"tf_idf"``, the weight of each word.
        vocabulary_size: Set by configurations without a vocabulary.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument has an unknown value, or arguments do not fit together.

    >>> layer = TextVectorization(output_sequence_length=4)
    >>> layer.adapt(["foo bar", "bar baz", "baz bada boom"])
    >>> layer([["foo qux bar"], ["qux baz"]])
    array([[4, 1, 3, 0],
           [1, 2, 0, 0]])
    """

    fixed_config: ClassVar[Mapping[str, Any]] = {
        "sparse": False,
        "ragged": False,
        "encoding": "utf-8",
    }

    modes = ("int", "multi_hot", "count", "tf_idf")
    takes_strings = True
    default_input_dtype = "string"

    def __init__(
        self,
        max_tokens: int | None = None,
        standardize: Any = "lower_and_strip_punctuation",
        split: Any = "whitespace",
        ngrams: int | Sequence[int] | None = None,
        output_mode: str = "int",
        output_sequence_length: int | None = None,
        pad_to_max_tokens: bool = False,
        vocabulary: Any = None,
        idf_weights: Any = None,
        vocabulary_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.set_mode(output_mode)
        for name, value, known in (
            ("standardize", standardize, _STANDARDS),
            ("split", split, _SPLITS),
        ):
            if not (value is None or callable(value) or value in tuple(known)):
                raise ValueError(
                    f"{name} must be one of {', '.join(known)}, None or a function. "
                    f"Received: {name}={value!r}"
                )
        self.standardize, self.split = standardize, split
        self.ngrams = tuple(ngrams) if isinstance(ngrams, (list, tuple)) else ngrams
        for width in self.ngrams if isinstance(self.ngrams, tuple) else [self.ngrams or 1]:
            check_count("ngrams", width, 1)
        self.output_sequence_length = output_sequence_length
        if output_sequence_length is not None:
            check_count("output_sequence_length", output_sequence_length, 1)
            if self.output_mode != "int":
                raise ValueError(
                    "output_sequence_length is for output_mode='int'. "
                    f"Received: output_mode={output_mode!r}"
                )
        self._lookup_layer = StringLookup(
            max_tokens=max_tokens,
            mask_token="",
            vocabulary=vocabulary,
            idf_weights=idf_weights,
            output_mode=output_mode,
            pad_to_max_tokens=pad_to_max_tokens,
            vocabulary_size=vocabulary_size,
            dtype=self.dtype,
            name=f"{self.name}_lookup",
        )

    def sublayers(self) -> Sequence[Layer]:
        """Return the layer that has the vocabulary."""
        return (self._lookup_layer,)

    @property
    def lookup(self) -> IndexLookup:
        """The layer that has the vocabulary."""
        return self._lookup_layer

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[str]:
        """Return the words, each at its index; optionally without the special ones."""
        return self._lookup_layer.get_vocabulary(include_special_tokens)

    def vocabulary_size(self) -> int:
        """Return the number of words, including the special ones."""
        return self._lookup_layer.vocabulary_size()

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Set the vocabulary; see `StringLookup`."""
        self._lookup_layer.set_vocabulary(vocabulary, idf_weights)

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Make the vocabulary from the words in ``data``, the most frequent ones first.

        Args:
            data: Texts in a list, an array or a frame's column, or an iterable of these.
            batch_size: Accepted for compatibility with Keras and ignored.
            steps: The number of arrays to take from an iterable; None takes all.

        Raises:
            TypeError: If an entry is missing or not text.
            ValueError: If the vocabulary was given to the constructor.
        """
        self.reset_state()
        for batch in batches_of(data, steps):
            self.update_state(batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Count the words of an array of texts."""
        if self._lookup_layer._given:
            self._lookup_layer.update_state(data)  # raises an error
        self._lookup_layer.count_tokens(self._words(as_text("data", data)))

    def finalize_state(self) -> None:
        """Make the vocabulary from the counts."""
        self._lookup_layer.finalize_state()

    def reset_state(self) -> None:
        """Clear the counts, but not the vocabulary."""
        self._lookup_layer.reset_state()

    def _words(self, x: Array) -> list[list[str]]:
        """Return the tokens of each sample."""
        tables: tuple[Any, ...] = ()
        if callable(self.standardize):
            given = self.standardize(x.astype(str))
            x = as_text(f"what standardize of layer {self.name!r} returned", given)
        elif self.standardize is not None:
            tables = _STANDARDS[self.standardize]
        rows = x.reshape(len(x), -1).tolist()
        for table in tables:
            rows = [[text.translate(table) for text in row] for row in rows]
        if self.split is not None:
            if any(len(row) != 1 for row in rows):
                raise ValueError(
                    f"Layer {self.name!r} expects one text per sample, of shape (samples, 1). Give "
                    f"split=None for words. Received: shape {x.shape}"
                )
            texts = [row[0] for row in rows]
            if callable(self.split):
                rows = [[str(word) for word in row] for row in self.split(np.array(texts))]
            else:
                rows = list(map(_SPLITS[self.split], texts))
        if self.ngrams is None:
            return rows
        widths = range(1, self.ngrams + 1) if isinstance(self.ngrams, int) else self.ngrams
        return [
            [" ".join(row[i : i + n]) for n in widths for i in range(len(row) - n + 1)]
            for row in rows
        ]

    def indices(self, x: Array) -> Array:
        """Return the indices of the words of each sample, padded with 0, or -1 for columns."""
        rows = self._words(as_text(f"the input of layer {self.name!r}", x))
        length = self.output_sequence_length or max([1, *map(len, rows)])
        filled = np.full((len(rows), length), "", object)
        for into, row in zip(filled, rows, strict=True):
            into[: len(row)] = row[:length]
        return self._lookup_layer.indices(filled)

    def forward_into(self, x: Array, y: Array) -> None:
        """Write the indices or the columns of the words of each sample into ``y``."""
        self._lookup_layer._require_vocabulary()
        super().forward_into(x, y)
        if self._lookup_layer._idf is not None:
            y *= self._lookup_layer._idf

    def depth(self) -> int:
        """Return the number of columns."""
        return self._lookup_layer.depth()

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (samples, ``output_sequence_length``), or (samples, columns)."""
        columns = self.output_sequence_length if self.output_mode == "int" else self.depth()
        return (input_shape[0], columns)

    def output_shape_for(self, x: Any) -> Shape:
        """Return the shape of the output for the array ``x``."""
        if self.output_mode == "int" and self.output_sequence_length is None:
            return self.indices(x).shape
        return self.compute_output_shape(np.shape(x))

    def on_tensors(
        self, arguments: Sequence[Any], training: bool | None = None, **options: Any
    ) -> Any:
        """As `Layer.on_tensors`.

        Raises:
            ValueError: If the length of the output is unknown.
        """
        if self.output_mode == "int" and self.output_sequence_length is None:
            raise ValueError(
                f"Layer {self.name!r} needs an output_sequence_length in a model, whose batches "
                "have one length. Received: output_sequence_length=None"
            )
        return super().on_tensors(arguments, training, **options)

    def _as_array(self, x: Any) -> Array:
        return as_text("x", x)

    # ---- configuration and files -------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name; a vocabulary only if it was an argument."""
        within = self._lookup_layer.get_config()
        shared = ("max_tokens", "pad_to_max_tokens", "vocabulary", "idf_weights", "vocabulary_size")
        own = ("name", "trainable", "ngrams", "output_mode", "output_sequence_length")
        functions = {k: serialize_keras_object(getattr(self, k)) for k in ("standardize", "split")}
        return {
            **{key: getattr(self, key) for key in own},
            **{key: within[key] for key in (*shared, "dtype")},
            **functions,
            **self.fixed_config,
        }

    def _shown(self) -> dict[str, Any]:
        return {key: part for key, part in super()._shown().items() if key != "vocabulary_size"}

    def save_own_variables(self, store: dict[str, Any]) -> None:
        """Put the weights of ``"tf_idf"`` into a file's ``store``."""
        self._lookup_layer.save_own_variables(store)

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Load the weights of ``"tf_idf"``."""
        self._lookup_layer.load_own_variables(store)

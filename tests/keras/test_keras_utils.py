"""Utilities and settings beside Keras's."""

import io
import random as python_random
import re
from contextlib import redirect_stdout

import keras
import numpy as np
import pytest
from keras.src.utils import dataset_utils

from nnlite import backend, config, utils

SEEDS = range(25)


def same(call, other):
    """Return what both give, or nothing where both refuse."""
    try:
        expected = other()
    except (ValueError, TypeError):
        with pytest.raises((ValueError, TypeError)):
            call()
        return None
    return call(), expected


def to_categorical(g):
    classes = int(g.integers(1, 6))
    shape = [(7,), (4, 1), (3, 2), (2, 3, 1)][g.integers(4)]
    x = g.integers(0, classes, shape)
    x = [x, x.astype(float), x.tolist()][g.integers(3)]
    given = [None, classes, classes + 2][g.integers(3)]
    mine, theirs = (library.to_categorical(x, given) for library in (utils, keras.utils))
    assert mine.dtype == theirs.dtype
    np.testing.assert_array_equal(mine, theirs)


def normalize(g):
    x = g.standard_normal((4, 3, 2)) * (g.random((4, 3, 1)) < 0.8)
    dtype = ["float32", "float64"][g.integers(2)]
    x, order = x.astype(dtype), [1, 2, 2.5, np.inf][g.integers(4)]
    axis = [-1, 1, 2][g.integers(3)]  # of axis 0, Keras divides by the norms of another axis
    mine, theirs = (library.normalize(x, axis, order) for library in (utils, keras.utils))
    assert mine.dtype == theirs.dtype == dtype
    np.testing.assert_allclose(mine, theirs, rtol=1e-6 if dtype == "float32" else 1e-14)


def split_dataset(g):
    """Sizes alone: Keras's own function gives data sets of TensorFlow or PyTorch."""
    total = int(g.integers(1, 12))
    sizes = [None, int(g.integers(-1, 13)), float(np.round(g.uniform(-0.1, 1.2), 2))]
    left, right = (sizes[g.integers(3)] for _ in range(2))
    if left is None and right is None:
        left = 0.5
    both = same(
        lambda: [len(part) for part in utils.split_dataset(np.arange(total), left, right)],
        lambda: list(dataset_utils._rescale_dataset_split_sizes(left, right, total)),
    )
    if both is not None:
        assert both[0] == both[1]


def pad_sequences(g):
    rows = [g.integers(0, 9, g.integers(0, 5)).tolist() for _ in range(int(g.integers(1, 5)))]
    if not any(rows):
        rows.append([1])
    options = {
        "maxlen": [None, int(g.integers(1, 7))][g.integers(2)],
        "dtype": ["int32", "float32"][g.integers(2)],
        "padding": ["pre", "post"][g.integers(2)],
        "truncating": ["pre", "post"][g.integers(2)],
        "value": float(g.integers(-1, 2)),
    }
    mine, theirs = (library.pad_sequences(rows, **options) for library in (utils, keras.utils))
    assert mine.dtype == theirs.dtype
    np.testing.assert_array_equal(mine, theirs)


def set_random_seed(g):
    drawn = []
    seed = int(g.integers(2**32))
    for library in (utils, keras.utils):
        library.set_random_seed(seed)
        drawn.append((python_random.random(), np.random.rand()))  # noqa: NPY002
    assert drawn[0] == drawn[1]


def progbar(g):
    """The mean of each value, which both write behind its name."""
    total = int(g.integers(1, 7))
    options = [{}, {"stateful_metrics": ["a"]}, {"stateless_metrics": ["a"]}][g.integers(3)]
    steps = sorted(g.choice(np.arange(1, total + 1), int(g.integers(1, total + 1)), replace=False))
    values = g.uniform(0.1, 9, (len(steps), 2))
    lines = []
    for library in (utils, keras.utils):
        text = io.StringIO()
        with redirect_stdout(text):
            bar = library.Progbar(total, interval=0, **options)
            for step, pair in zip(steps, values, strict=True):
                bar.update(int(step), list(zip("ab", pair, strict=True)))
        lines.append(re.findall(r"(?<=[ab]: )[0-9.]+", text.getvalue()))
    assert lines[0] == lines[1]
    assert len(lines[0]) == 2 * len(steps)


CASES = {
    "Progbar": progbar,
    "normalize": normalize,
    "pad_sequences": pad_sequences,
    "set_random_seed": set_random_seed,
    "split_dataset": split_dataset,
    "to_categorical": to_categorical,
}

# Tested with what they make data of: the layers, losses and so on.
SERIALIZATION = {
    "CustomObjectScope",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "register_keras_serializable",
    "serialize_keras_object",
}

# What it frees is the memory of each library's own; the others are compared with the data.
NOTHING_TO_COMPARE = {
    "clear_session",
    "pack_x_y_sample_weight",
    "PyDataset",
    "Sequence",
    "plot_model",  # Keras draws with Graphviz
    "unpack_x_y_sample_weight",
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", CASES)
def test_results_are_those_of_keras(name, seed):
    CASES[name](np.random.default_rng([seed, len(name)]))


def test_every_utility_has_a_case():
    assert set(CASES) | SERIALIZATION | NOTHING_TO_COMPARE == set(utils.__all__)


PICTURES = "works on images, sound or text"
DRAWS = "draws or opens what is not of numbers alone"
NOT_HERE = {
    "Config": "a dict does",
    "FeatureSpace": "preprocessing of tables, by layers out of reach",
    "array_to_img": PICTURES,
    "audio_dataset_from_directory": PICTURES,
    "bounding_boxes": PICTURES,
    "disable_interactive_logging": "fit's verbose says it",
    "enable_interactive_logging": "fit's verbose says it",
    "get_file": "nnlite opens no connections",
    "get_source_inputs": "for symbolic tensors",
    "image_dataset_from_directory": PICTURES,
    "img_to_array": PICTURES,
    "is_interactive_logging_enabled": "fit's verbose says it",
    "is_keras_tensor": "for symbolic tensors",
    "legacy": "Keras's own past",
    "load_img": PICTURES,
    "model_to_dot": DRAWS,
    "save_img": PICTURES,
    "standardize_dtype": "there are two float types",
    "text_dataset_from_directory": PICTURES,
    "timeseries_dataset_from_array": "gives a data set of TensorFlow's",
}


def test_every_utility_of_keras_is_there_or_has_a_reason_not_to_be():
    theirs = {name for name in dir(keras.utils) if not name.startswith("_")}
    assert theirs - set(utils.__all__) == set(NOT_HERE)


# ---- settings --------------------------------------------------------------------------------

FOR_IMAGES = "for images"
FOR_DEBUGGING = "for finding faults in Keras"
SETTINGS_NOT_HERE = {
    "disable_flash_attention": "for attention",
    "disable_interactive_logging": "fit's verbose says it",
    "disable_traceback_filtering": FOR_DEBUGGING,
    "dtype_policy": "there is no mixed precision: floatx says it",
    "enable_flash_attention": "for attention",
    "enable_interactive_logging": "fit's verbose says it",
    "enable_traceback_filtering": FOR_DEBUGGING,
    "enable_unsafe_deserialization": "files never run anything",
    "image_data_format": FOR_IMAGES,
    "is_flash_attention_enabled": "for attention",
    "is_interactive_logging_enabled": "fit's verbose says it",
    "is_nnx_enabled": "of JAX's",
    "is_traceback_filtering_enabled": FOR_DEBUGGING,
    "max_epochs": FOR_DEBUGGING,
    "max_steps_per_epoch": FOR_DEBUGGING,
    "set_backend": "there is one",
    "set_dtype_policy": "there is no mixed precision: set_floatx says it",
    "set_image_data_format": FOR_IMAGES,
    "set_max_epochs": FOR_DEBUGGING,
    "set_max_steps_per_epoch": FOR_DEBUGGING,
}
BACKEND_NOT_HERE = {
    "get_uid": "names are counted within a model",
    "image_data_format": FOR_IMAGES,
    "is_float_dtype": "for writing layers for several backends",
    "is_int_dtype": "for writing layers for several backends",
    "is_keras_tensor": "for symbolic tensors",
    "result_type": "for writing layers for several backends",
    "set_image_data_format": FOR_IMAGES,
    "standardize_dtype": "there are two float types",
}


@pytest.mark.parametrize(
    ("mine", "theirs", "not_here"),
    [
        (config, keras.config, SETTINGS_NOT_HERE),
        (backend, keras.backend, BACKEND_NOT_HERE),
    ],
    ids=["config", "backend"],
)
def test_every_setting_of_keras_is_there_or_has_a_reason_not_to_be(mine, theirs, not_here):
    names = {name for name in dir(theirs) if not name.startswith("_")}
    assert names - set(mine.__all__) == set(not_here)
    assert mine.epsilon() == theirs.epsilon()
    assert mine.floatx() == theirs.floatx()

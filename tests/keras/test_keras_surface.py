"""Every name at Keras's top level is here, or stands in a list with the reason why not."""

import inspect

import keras
import pytest

import nnlite

ABSENT = {
    "applications": "pre-trained image networks",
    "device": "there is one device",
    "distillation": "a training recipe, not a part of models",
    "dtype_policies": "one float type a model",
    "DTypePolicy": "one float type a model",
    "FloatDTypePolicy": "one float type a model",
    "export": "Model.export, to ONNX",
    "Function": "Model(inputs, outputs) is the one kind of graph",
    "KerasTensor": "nnlite.symbolic.KerasTensor, which Input returns",
    "InputSpec": "a layer checks its input in build",
    "Operation": "automatic differentiation",
    "Quantizer": "no quantization",
    "legacy": "Keras's own past",
    "mixed_precision": "one float type a model",
    "name_scope": "names are a model's own",
    "preprocessing": "utilities that Keras itself has replaced by layers",
    "quantizers": "no quantization",
    "RematScope": "no recomputation",
    "remat": "no recomputation",
    "StatelessScope": "JAX's transformations",
    "SymbolicScope": "JAX's transformations",
    "tree": "nests of tensors",
    "version": "nnlite.__version__",
    "visualization": "pictures of images",
    "wrappers": "nnlite.wrappers, with the extra [sklearn]",
    "src": "not public",
}


def test_every_top_level_name_is_here_or_excused():
    names = {name for name in dir(keras) if not name.startswith("_")}
    assert names - set(nnlite.__all__) - set(ABSENT) == set()
    assert set(ABSENT) <= names - set(nnlite.__all__)


METHODS = """
add pop layers get_layer build compile fit evaluate predict train_on_batch test_on_batch
predict_on_batch get_weights set_weights save save_weights load_weights to_json get_config
from_config get_compile_config compile_from_config summary count_params weights trainable_weights
non_trainable_weights variables trainable_variables non_trainable_variables trainable metrics
metrics_names reset_metrics get_metrics_result compiled stop_training input_shape output_shape
name built loss optimizer
""".split()  # noqa: SIM905


@pytest.mark.parametrize("name", METHODS)
def test_a_models_methods_and_attributes_are_kerass(name):
    theirs = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    ours = nnlite.Sequential([nnlite.layers.Input((2,)), nnlite.layers.Dense(1)])
    theirs.compile("sgd", "mse")
    ours.compile("sgd", "mse")
    assert hasattr(theirs, name)
    assert hasattr(ours, name)


@pytest.mark.parametrize(
    "name",
    [
        "compile",
        "fit",
        "evaluate",
        "predict",
        "train_on_batch",
        "test_on_batch",
        "predict_on_batch",
        "summary",
    ],
)
def test_a_methods_arguments_are_kerass_in_their_order(name):
    theirs = [*inspect.signature(getattr(keras.Sequential, name)).parameters]
    ours = [*inspect.signature(getattr(nnlite.Sequential, name)).parameters]
    assert ours == [argument for argument in theirs if argument != "kwargs"]

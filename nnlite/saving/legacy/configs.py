"""Rules that translate configurations of Keras 1.2 to 3.15 into one form.

The form is Keras 3's ``{"class_name": ..., "config": {...}}``, which `Sequential.from_config`
takes. A rule changes the configuration of one layer in place; `_RULES` are applied in the order
of this file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nnlite import constraints, initializers, regularizers
from nnlite.backend.variables import weights_from_file
from nnlite.layers import activations
from nnlite.layers.layer import Layer, registry
from nnlite.ops.tensorflow import from_tf_function
from nnlite.saving.legacy.graphs import FUNCTIONAL, keras_3_graph, layer_name
from nnlite.saving.load_report import LoadReport
from nnlite.saving.mask_operations import mask_operations, sources
from nnlite.serialization.objects import KINDS, get_registered_object, is_foreign
from nnlite.serialization.registry import Registry
from nnlite.utils.structures import flatten

Config = dict[str, Any]
Rule = Callable[[Config, LoadReport], None]

#: The classes that hold layers.
MODELS = ("Sequential", *FUNCTIONAL)

#: The most layers that are read: adding a layer to a chain takes time in proportion to its length.
_MOST_LAYERS = 2_000

#: The most calls of layers that are read; a nested model's count at each of its calls.
_MOST_CALLS = 10_000

_RULES: list[tuple[tuple[str, ...], Rule]] = []


def _rule(*classes: str) -> Callable[[Rule], Rule]:
    """Return a decorator that makes a function a rule for some classes, or for all if none."""

    def add(rule: Rule) -> Rule:
        _RULES.append((classes, rule))
        return rule

    return add


# ---- values -------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """Return a configuration with plain numbers and lists instead of their serialized forms.

    >>> plain({"alpha": {"type": "ndarray", "value": 0.3}})
    {'alpha': 0.3}
    >>> plain({"class_name": "__tuple__", "items": [None, 4]})
    [None, 4]
    """
    if isinstance(value, list):
        return [plain(part) for part in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") in ("__tuple__", "TensorShape"):  # TensorFlow 2's json
        return plain(value.get("items"))
    if value.get("class_name") in ("__numpy__", "__tensor__"):  # Keras 2.12 and later
        inner = value.get("config")
        return plain(inner.get("value")) if isinstance(inner, dict) else None
    if value.get("type") == "ndarray" and "value" in value:  # Keras 2.0 to 2.3
        return plain(value["value"])
    if value.get("class_name") == "SeedGenerator":
        inner = value.get("config")
        return inner.get("seed") if isinstance(inner, dict) else None
    # The model itself reads the arguments of calls.
    return {key: part if key == "inbound_nodes" else plain(part) for key, part in value.items()}


def _single(value: Any) -> Any:
    """Return the entry of a list of one; any other value as it is."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


# ---- models -------------------------------------------------------------------------------


def model_config(config: Any, notes: LoadReport, place: str = "") -> Config:
    """Return a model's or nested model's configuration in the form that its class takes.

    Parts that nnlite lacks are noted in ``notes.missing``, errors in calls in ``notes.faults``.

    Args:
        config: ``{"class_name": "Sequential", "config": ...}``, or Functional, or Model.
        notes: Collects what is left out, missing or wrong.
        place: The prefix of the layers' names in messages.

    Returns:
        The same for a Sequential or Functional, with the file's class under ``"written_as"`` and
        the number of calls of layers under ``"calls"``.
    """
    written = _class_name(config, place or "the model")
    if is_model(config) and not _lists_layers(config):
        return _layer(config, notes, place)[0]
    inner = config["config"]
    # Keras up to 2.2.2 wrote a Sequential as the bare list of its layers.
    if isinstance(inner, list):
        inner = {"layers": inner}
    if not isinstance(inner, dict) or not isinstance(inner.get("layers"), list):
        raise ValueError(  # noqa: TRY004  data, not a caller's mistake
            f"{place or 'the model'}: a {written} without a list of layers"
        )
    _count(len(inner["layers"]), notes)
    result: Config = {"trainable": inner.get("trainable") is not False}
    functional = written in FUNCTIONAL or "input_layers" in inner
    if functional:
        result |= _graph(inner, notes, place)
    else:
        result["layers"] = _chain(inner["layers"], notes, place)
    calls = sum(
        len(layer.get("inbound_nodes", "1")) * layer.get("calls", 1) for layer in result["layers"]
    )
    if calls > _MOST_CALLS:
        raise ValueError(f"the model takes more than {_MOST_CALLS} calls of layers")
    if isinstance(inner.get("name"), str):
        result["name"] = inner["name"]
    if (seed := config.get("seed", inner.get("seed"))) is not None:
        result["seed"] = seed
    shape = inner.get("build_input_shape")
    if shape is None and isinstance(config.get("build_config"), dict):
        shape = config["build_config"].get("input_shape")
    if isinstance(shape, list) and not any(isinstance(size, (list, dict)) for size in shape):
        result["build_input_shape"] = [None, *shape[1:]]
    known = {"written_as": written, "registered_name": config.get("registered_name")}
    own = is_model(config) and written not in MODELS
    name = written if own else "Functional" if functional else "Sequential"
    return {"class_name": name, "config": result, "calls": calls, **known}


def _count(layers: int, notes: LoadReport) -> None:
    notes.layers += layers
    if notes.layers > _MOST_LAYERS:
        raise ValueError(f"the model has more than {_MOST_LAYERS} layers")


def _chain(order: list[Any], notes: LoadReport, place: str) -> list[Config]:
    """Return the layers of a Sequential, first to last."""
    layers: list[Config] = []
    for layer in order:
        made, shape = _layer(layer, notes, place)
        if not layers and shape is not None and made["class_name"] != "InputLayer":
            layers.append({"class_name": "InputLayer", "config": {"batch_shape": shape}})
        layers.append(made)
    return layers


def _graph(inner: Config, notes: LoadReport, place: str) -> Config:
    """Return the layers of a functional model with their calls, its inputs and its outputs."""
    calls: dict[str, list[Any]] = {}
    outputs = None
    try:
        calls, outputs = keras_3_graph(inner)
    except ValueError as error:
        notes.faults.append(str(error))
    named = [(layer_name(layer), layer, calls.get(layer_name(layer))) for layer in inner["layers"]]
    masks = mask_operations(named, outputs)
    layers = []
    for layer in inner["layers"]:
        nodes = calls.get(layer_name(layer), []) if calls else []
        if layer_name(layer) in masks:
            layers.append({"inbound_nodes": nodes, **layer, "op": True, "name": layer_name(layer)})
            continue
        if notes.fit_overrides:
            nodes = [_without_training(node) for node in nodes]
        made = _operation(layer, nodes, notes, place)
        if made is None:
            made, _ = _layer(layer, notes, place)
            name = made["class_name"]
            cls = registry.lookup(name) if name in registry else None
            known = getattr(cls, "call_options", ())
            _check_options(layer_name(layer), nodes, notes, place, known, masks)
        layers.append({"inbound_nodes": nodes, **made, "name": layer_name(layer)})
    return {"layers": layers, "input_layers": inner.get("input_layers"), "output_layers": outputs}


def _without_training(node: Any) -> Any:
    """Return a call without its ``training``, which Keras 3 always writes."""
    if not isinstance(node, dict) or not isinstance(node.get("kwargs"), dict):
        return node
    return {**node, "kwargs": {k: v for k, v in node["kwargs"].items() if k != "training"}}


def _check_options(
    name: str,
    nodes: Any,
    notes: LoadReport,
    place: str,
    options_of_layer: Sequence[str],
    masks: set[str],
) -> None:
    """Note unknown arguments of a layer's calls that would change the result."""
    for node in nodes if isinstance(nodes, list) else ():
        options = node.get("kwargs") if isinstance(node, dict) else None
        for key, value in options.items() if isinstance(options, dict) else ():
            known = key in ("training", "inputs", "x", *options_of_layer)
            known = known or (key == "mask" and not masks.isdisjoint(sources(value)))
            if not known and any(leaf not in (None, False) for leaf in flatten(value)):
                notes.missing.append(f"{key}= in a call of layer {place + name!r}")


def _operation(config: Any, nodes: Any, notes: LoadReport, place: str) -> Config | None:
    """Return the configuration of an operation of `nnlite.ops`; None for a layer.

    For a function of TensorFlow it follows from the one call, which takes Keras 3's form.
    """
    written = _class_name(config, f"a layer of {place or 'the model'}")
    inner = config["config"] if isinstance(config["config"], dict) else {}
    name, module = layer_name(config), config.get("module")
    if written in ("TFOpLambda", "SlicingOpLambda"):
        function = inner.get("function")
        try:
            (node,) = nodes
            operation, args = from_tf_function(str(function), node["args"][0], node["kwargs"])
        except (TypeError, ValueError, KeyError, IndexError) as error:
            what = str(error).partition(" Those that are")[0]
            notes.missing.append(f"function {function!r:.100} of layer {place + name!r} ({what})")
            return {"class_name": written, "config": {}}
        made = operation.serialized()
        module, written, inner = made["module"], made["class_name"], made["config"]
        nodes = [{"args": list(args), "kwargs": {}}]
    elif not isinstance(module, str):
        # An .h5 file of Keras 3 has no modules; a layer's configuration says more.
        bare = "trainable" not in inner and nodes and isinstance(nodes[0], dict)
        names = [key for key, kind in KINDS.items() if key.startswith("keras.ops.")]
        found = [key for key in names if written in KINDS[key]]  # type: ignore[operator]
        if not bare or not found:
            return None
        module = found[0]
    elif not module.replace("keras.src.", "keras.").startswith("keras.ops."):
        return None
    kind: Any = KINDS.get(module.replace("keras.src.", "keras."), ())
    if written not in kind:
        notes.missing.append(f"operation {place + name!r} of class {written}")
    config = {"name": name, **inner}
    return {"class_name": written, "module": module, "config": config, "op": True} | {
        "inbound_nodes": nodes
    }


def is_model(config: Any) -> bool:
    """Return whether a configuration is a model's, with layers that nnlite may know."""
    own = _registered(config)
    if own is None:
        return config.get("class_name") in MODELS and not is_foreign(config)
    return isinstance(own, type) and issubclass(own, Layer) and own.is_model


def _lists_layers(config: Config) -> bool:
    """Return whether a model's configuration is a list of layers, not one of its own class."""
    inner = config.get("config")
    return config["class_name"] in MODELS or (
        isinstance(inner, dict) and isinstance(inner.get("layers"), list)
    )


def _class_name(config: Any, what: str) -> str:
    name = config.get("class_name") if isinstance(config, dict) else None
    if not isinstance(name, str) or "config" not in config:
        shown = repr(config)[:200]
        raise ValueError(f"{what}: expected a class name and a configuration. Received: {shown}")
    return name


# ---- layers -------------------------------------------------------------------------------


def _layer(config: Any, notes: LoadReport, place: str) -> tuple[Config, Any]:
    """Return a layer's configuration in the form that its class takes, and its input's shape."""
    written = _class_name(config, f"a layer of {place or 'the model'}")
    inner = config["config"]
    name = inner.get("name", config.get("name")) if isinstance(inner, dict) else written
    shown = f"{place}{name}"
    if is_model(config) and _lists_layers(config):
        return model_config(config, notes, f"{shown}/"), None
    if not isinstance(inner, dict):
        raise ValueError(  # noqa: TRY004  data
            f"layer {shown!r}: its config must be a dict. Received: {inner!r:.200}"
        )
    inner = dict(inner)
    shape = inner.pop("batch_input_shape", None)
    if (own := _registered(config)) is not None:
        dtype_is_a_name(inner, notes)
        if isinstance(own, type) and issubclass(own, Layer):
            # Keys that layers of Keras write and nnlite's layers do not take.
            for key in ("autocast", "dynamic", "stateful"):
                if key not in own._parameters():
                    inner.pop(key, None)
        known = {"registered_name": config.get("registered_name"), "own": True}
        return {"class_name": written, "config": inner, **known}, shape
    name = _RENAMED.get(written, written)
    cls = registry.lookup(name) if name in registry else None
    if not (isinstance(cls, type) and issubclass(cls, Layer)) or is_foreign(config):
        notes.missing.append(f"layer {shown!r} of class {written}")
        return {"class_name": written, "config": {}}, shape
    if name == "InputLayer" and shape is not None:
        inner["batch_shape"] = shape
    for old, new in _RENAMED_ARGUMENTS.get(written, {}).items():
        if old in inner:
            inner[new] = inner.pop(old)
    for classes, rule in _RULES:
        if not classes or written in classes:
            rule(inner, notes)
    for key in _ACTIVATIONS & inner.keys():
        inner[key] = _activation(inner[key], notes, shown)
    calls = 1
    for key in _WRAPPED & inner.keys():
        many = isinstance(inner[key], list)
        made = []
        for part in inner[key] if many else [inner[key]]:
            if part is not None:  # backward_layer may be None
                _count(1, notes)
                part, inside = _layer(part, notes, f"{shown}/")
                shape = inside if shape is None else shape
                calls += part.get("calls", 1)
                part = {"module": "keras.layers", "registered_name": None, **part}
            made.append(part)
        inner[key] = made if many else made[0]
    kept = fitting(cls, inner, notes, f"layer {shown!r}")
    return {"class_name": name, "config": kept, "was": written, "calls": calls}, shape


def _registered(value: Any) -> Any:
    """Return the class or function that the program has registered for a name, if any."""
    if not isinstance(value, dict):
        return get_registered_object(value)
    name = value.get("class_name")
    for one in (value.get("registered_name"), value.get("config") if name == "function" else name):
        if (found := get_registered_object(one)) is not None:
            return found
    return None


#: The keys of functions in a configuration, and of inner layers.
_ACTIVATIONS = frozenset({"activation", "recurrent_activation"})
_WRAPPED = frozenset({"backward_layer", "cell", "cells", "layer"})

#: Classes with another name in TensorFlow 1.13 to 2.15 and equal predictions.
_RENAMED = {
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "CuDNNGRU": "GRU",
    "CuDNNLSTM": "LSTM",
    "SyncBatchNormalization": "BatchNormalization",
    "ThresholdedReLU": "ReLU",
}

#: Keys that change nothing here, for any value.
_NO_MATTER = frozenset(
    {
        *("autocast", "dynamic", "fused", "implementation", "keras_api", "ragged"),
        *("input_dim", "input_dtype", "input_length", "input_shape", "shared_object_id"),
        *("lora_alpha", "lora_rank"),  # the kernel in the file includes what they add
        *("renorm_clipping", "renorm_momentum", "synchronized", "virtual_batch_size"),
        *("sparse", "stateful"),
    }
)


def fitting(cls: type[Any], config: Config, notes: LoadReport, what: str) -> Config:
    """Return a configuration with only the arguments that its class takes."""
    parameters = cls._parameters()
    takes = {*parameters, *cls.fixed_config, "dtype", "name", "trainable"}
    result: Config = {}
    for key, value in config.items():
        if key in _NO_MATTER and key not in parameters:  # `Embedding` has an input_dim
            continue
        if key in takes:
            result[key] = value
        elif value is None or value is False or value in (0, "", [], {}):
            notes.skip(f"{key}={value!r} of {what}")
        else:
            raise ValueError(
                f"{what} has {key}={value!r}, which {cls.__name__} does not take here and which "
                "may change what it computes"
            )
    return result


@_rule()
def dtype_is_a_name(config: Config, notes: LoadReport) -> None:
    """Replace a policy object by its name, and note half precision.

    `settle_dtype` chooses one type for the whole model.
    """
    value = config.pop("dtype", None)
    if isinstance(value, dict):
        inner = value.get("config")
        value = inner.get("name") if isinstance(inner, dict) else None
    if not isinstance(value, str):
        return
    if value in _DATA_TYPES:  # of an input
        config["dtype"] = value
        return
    if "float16" in value or value == "half":
        notes.skip(f"the precision {value} (computed in float32)")
    elif "_from_" in value:
        notes.missing.append(f"the quantized type {value} of layer {config.get('name')!r}")
    config["dtype"] = "float64" if value in ("float64", "double") else "float32"


_DATA_TYPES = (
    "bool",
    "string",
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
)


@_rule("InputLayer")
def input_has_a_batch_shape(config: Config, notes: LoadReport) -> None:
    """Keep only shape, name and type; `_layer` handles the shape's old name."""
    kept: Config = {key: config[key] for key in ("batch_shape", "name", "dtype") if key in config}
    config.clear()
    config.update(kept)


@_rule("Hashing")
def bins_are_integers(config: Config, notes: LoadReport) -> None:
    """Let ``dtype`` be the type of the bins, not of columns."""
    if config.get("output_mode", "int") == "int" and config.get("dtype") not in _DATA_TYPES:
        config["dtype"] = "int64"


@_rule("StringLookup", "IntegerLookup", "TextVectorization")
def type_of_tokens_is_known(config: Config, notes: LoadReport) -> None:
    """TensorFlow 2 wrote the type of the tokens; here ``dtype`` is that of columns."""
    if config.get("dtype") in _DATA_TYPES:
        del config["dtype"]
    config.pop("has_input_vocabulary", None)


@_rule(
    "BatchNormalization",
    "BatchNormalizationV1",
    "BatchNormalizationV2",
    "SyncBatchNormalization",
    "Softmax",
    "UnitNormalization",
)
def one_axis(config: Config, notes: LoadReport) -> None:
    """TensorFlow 1.13 to 2.15 wrote ``axis`` as a list of one."""
    if "axis" in config:
        config["axis"] = _single(config["axis"])


@_rule("Normalization")
def means_without_a_batch_axis(config: Config, notes: LoadReport) -> None:
    """``[[1.0, 2.0]]`` means ``[1.0, 2.0]``."""
    for key in ("mean", "variance"):
        while isinstance(inner := _single(config.get(key)), list) and inner is not config[key]:
            config[key] = inner


@_rule("ThresholdedReLU")
def theta_is_threshold(config: Config, notes: LoadReport) -> None:
    """Keras 2's layer is `ReLU` with a threshold; the two differ at no more than one point."""
    config["threshold"] = config.pop("theta", 1.0)


#: The names of arguments in Keras 1, and for LeakyReLU in Keras 2, with those of now.
_RENAMED_ARGUMENTS = {
    "BatchNormalization": {"beta_init": "beta_initializer", "gamma_init": "gamma_initializer"},
    "Dense": {"output_dim": "units", "init": "kernel_initializer", "bias": "use_bias"},
    "GaussianNoise": {"sigma": "stddev"},
    "LeakyReLU": {"alpha": "negative_slope"},
    **{name: {"p": "rate"} for name in ("AlphaDropout", "Dropout", "GaussianDropout")},
}


@_rule("Dense")
def keras_1_dense(config: Config, notes: LoadReport) -> None:
    """Keras 1 wrote W and b for kernel and bias."""
    for letter, word in [("W", "kernel"), ("b", "bias")]:
        for kind in ("regularizer", "constraint"):
            if f"{letter}_{kind}" in config:
                config[f"{word}_{kind}"] = _keras_1_object(config.pop(f"{letter}_{kind}"))


def _keras_1_object(value: Any) -> Any:
    """Return Keras 1's ``{"name": "WeightRegularizer", "l1": ...}`` in the form of Keras 3."""
    if isinstance(value, dict) and "name" in value and "class_name" not in value:
        rest = {key: part for key, part in value.items() if key != "name"}
        penalizes = {"l1", "l2"} & rest.keys()
        return {"class_name": "L1L2" if penalizes else value["name"], "config": rest}
    return value


@_rule("BatchNormalization")
def keras_1_batch_normalization(config: Config, notes: LoadReport) -> None:
    """Keras 2 kept only ``mode`` 0."""
    if config.get("mode", 0) == 0:
        config.pop("mode", None)


@_rule("CuDNNGRU", "CuDNNLSTM", "GRU", "LSTM", "RNN", "SimpleRNN")
def batches_come_first(config: Config, notes: LoadReport) -> None:
    """Keras 2 allowed time as the first axis, which was rarely used."""
    if config.get("time_major") is False:
        del config["time_major"]


@_rule("GRU", "GRUCell")
def reset_before(config: Config, notes: LoadReport) -> None:
    """Keras up to 2.1.2 had only a GRU that applies the reset gate before the product."""
    if notes.older_than_3:
        config.setdefault("reset_after", False)


@_rule("RepeatVector", "Dropout", "GaussianNoise", "Reshape", "Permute")
def lists_are_shapes(config: Config, notes: LoadReport) -> None:
    """JSON has no tuples."""
    for key in ("target_shape", "dims", "noise_shape"):
        if isinstance(config.get(key), list):
            config[key] = tuple(config[key])


@_rule(
    "Conv1DTranspose",
    "Conv2DTranspose",
    "Conv3DTranspose",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "SeparableConv1D",
    "SeparableConv2D",
)
def keras_2_convolutions(config: Config, notes: LoadReport) -> None:
    """Keras 2 wrote arguments that these classes inherit from `Conv2D` but do not use."""
    if config.get("groups") == 1:
        del config["groups"]
    if "depthwise_initializer" in config:
        for part in ("initializer", "regularizer", "constraint"):
            config.pop(f"kernel_{part}", None)


@_rule()
def objects_of_training(config: Config, notes: LoadReport) -> None:
    """Leave out unknown initializers, regularizers and constraints: predicting needs none."""
    for key in list(config):
        for ending, kind in _KINDS.items():
            if key.endswith(ending):
                config[key] = _optional(config[key], kind, key, notes)
                if config[key] is None and ending == "_initializer":
                    del config[key]


_KINDS: Mapping[str, Registry[Any]] = {
    "_initializer": initializers.registry,
    "_regularizer": regularizers.registry,
    "_constraint": constraints.registry,
}


def _optional(value: Any, kind: Registry[Any], key: str, notes: LoadReport) -> Any:
    """Return an object's configuration, or None with a note if nnlite cannot create it."""
    if value is None:
        return None
    name, inner = value, None
    if isinstance(value, dict):
        name, inner = value.get("class_name"), value.get("config")
        if name == "function":
            name, inner = inner, None
    if (own := _registered(value)) is not None:
        return own if inner is None else value
    if not isinstance(name, str):
        notes.skip(f"{key}={value!r:.200}")
        return None
    # TensorFlow 1.13 to 2.0 numbered its initializers.
    name = name.removesuffix("V1").removesuffix("V2").rsplit(">", 1)[-1]
    if name not in kind:
        notes.skip(f"the {kind.kind} {name!r}")
        return None
    if not isinstance(inner, dict):
        return name
    takes = kind.lookup(name)._parameters()  # type: ignore[attr-defined]
    inner = {key: part for key, part in inner.items() if key in takes}
    if inner.get("distribution") == "normal":  # in 2.0 and 2.1, which meant a truncated one
        inner["distribution"] = "truncated_normal"
    made = {"class_name": name, "config": inner}
    try:
        with weights_from_file(0):  # it must not be a model with its own weights
            kind.deserialize(made)
    except (TypeError, ValueError, OverflowError) as error:
        notes.skip(f"the {kind.kind} {name!r} ({error})")
        return None
    return made


#: The names of TensorFlow's own functions as activations.
_FUNCTIONS = {"softmax_v2": "softmax", "leaky_relu_v2": "leaky_relu", "swish_v2": "swish"}


def _activation(value: Any, notes: LoadReport, layer: str) -> Any:
    """Return an activation as a name or a layer's configuration."""
    if isinstance(value, dict) and value.get("class_name") == "function":
        own = _registered(value)
        value = value.get("config") if own is None else own
    if value is None or callable(value):
        return value
    if isinstance(value, dict):
        made, _ = _layer(value, notes, f"{layer}/")
        return made
    if not isinstance(value, str):
        raise ValueError(  # noqa: TRY004  data
            f"layer {layer!r}: an activation must have a name. Received: {value!r:.200}"
        )
    name = _FUNCTIONS.get(value, value)
    if get_registered_object(name) is not None:
        return name
    if name == "hard_sigmoid" and notes.older_than_3:
        return {"class_name": "HardSigmoid", "config": {"end": 2.5}}
    if name not in activations.registry:
        notes.missing.append(f"activation {value!r} of layer {layer!r}")
    return name


# ---- types --------------------------------------------------------------------------------


def settle_dtype(config: Config, notes: LoadReport) -> None:
    """Give every layer of a translated model the widest type that any layer has.

    In Keras each layer has its own type; here all layers of a model share one. The type of an
    `InputLayer` counts only if no other layer has one: before 2.3, only the first layer told it.
    """
    layers = [
        layer
        for layer in _all_layers(config)
        if "op" not in layer and layer["config"].get("dtype") not in _DATA_TYPES
    ]
    rest = [layer for layer in layers if layer["class_name"] != "InputLayer"]
    found = {layer["config"]["dtype"] for layer in rest if "dtype" in layer["config"]}
    found = found or {layer["config"].get("dtype", "float32") for layer in layers}
    if len(found) > 1:
        notes.skip("the layers' different float types (all are computed in float64)")
    for layer in layers:
        if "dtype" in layer["config"] or "own" not in layer:
            layer["config"]["dtype"] = max(found)


def _all_layers(config: Config) -> list[Config]:
    """Return the configurations of all layers at any depth, with activations."""
    if "written_as" in config:
        return [one for layer in config["config"]["layers"] for one in _all_layers(layer)]
    found = [config]
    for key in sorted(_ACTIVATIONS | _WRAPPED):
        value = config["config"].get(key)
        for part in value if isinstance(value, list) else [value]:
            own = "own" in config or not isinstance(part, dict)
            if not own and isinstance(part.get("config"), dict):
                found += _all_layers(part)
    return found

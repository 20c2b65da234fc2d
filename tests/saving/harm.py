"""Watching for harm, the ways in which a configuration is loaded, and what exploited Keras."""

import base64
import json
import marshal
import os
import re
import sys
import warnings
from contextlib import contextmanager

import pytest

from nnlite import Sequential, layers
from nnlite.layers import Dense, Input
from nnlite.models import load_model, model_from_config, model_from_json
from nnlite.saving import deserialize_keras_object

from .limits import refuses
from .old_files import (
    TWO_GROUPS,
    dense,
    sequential,
    two_layers,
    write_h5,
    write_keras,
)

MARK = "NNLITE_TESTS_WERE_HARMED"

# ---- what would tell of an exploit that works ---------------------------------------------

_HARM = re.compile(
    r"import|open|exec|compile|marshal\.|pickle\.|code\.__new__|function\.__new__|ctypes\.|socket\."
    r"|subprocess\.|urllib\.|http\.|ftplib\.|shutil\.|tempfile\.|webbrowser\."
    r"|os\.(?!scandir|listdir|walk|fwalk)"
)
_seen = None


def _listen(event, arguments):
    if _seen is not None and _HARM.match(event):
        _seen.append((event, *map(str, arguments[:2])))


sys.addaudithook(_listen)  # it stays for as long as Python runs, and costs nothing while unused


@contextmanager
def nothing_happens(path=None):
    """Assert that nothing is imported, run, opened but ``path`` for reading, or written."""
    global _seen
    _seen = []
    try:
        yield
    finally:
        seen, _seen = _seen, None
    harmless = [("open", str(path), mode) for mode in ("rb", "r")]
    seen = [event for event in seen if event not in harmless]
    assert not seen, seen
    assert MARK not in os.environ


@pytest.fixture(autouse=True)
def ready(tmp_path, monkeypatch):
    """Have a module that leaves the mark on import, and all that loading itself imports."""
    (tmp_path / "harmful.py").write_text(
        f"import os\nos.environ[{MARK!r}] = '1'\ndef run(*_, **__): pass\nclass Thing: pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv(MARK, raising=False)
    monkeypatch.delitem(sys.modules, "harmful", raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        load_model(write_keras(tmp_path / "m.keras", compiled={"loss": "no such", "metrics": []}))
        load_model(write_h5(tmp_path / "m.h5", training={"optimizer_config": "no such"}))
        with pytest.raises(TypeError):  # NumPy imports on its way to this
            layers.Rescaling("text")
    yield
    os.environ.pop(MARK, None)


def lambda_code():
    """Return Python code as Keras writes that of a Lambda layer: base64 of marshal."""
    code = eval(f"lambda *_: __import__('os').environ.setdefault({MARK!r}, '1')").__code__
    return base64.b64encode(marshal.dumps(code)).decode()


class Harm:
    def __reduce__(self):
        return (os.putenv, (MARK, "1"))


# ---- the ways in ---------------------------------------------------------------------------


def ways_in(folder, config):
    """Yield every way in which a configuration of a Sequential model can be loaded."""
    names = [layer["config"].get("name", "x") for layer in config["config"]["layers"][1:]]
    groups = [
        *TWO_GROUPS,
        *((name, []) for name in names if not str(name).startswith(("dense", "{"))),
    ]
    for path in (
        write_keras(folder / "m.keras", config),
        write_h5(folder / "m.h5", config, groups),
        write_h5(folder / "m.hdf5", config, groups, version="3.11.0"),
    ):
        for safe in (True, False):
            yield path, lambda path=path, safe=safe: load_model(path, safe_mode=safe)
    text = json.dumps(config)
    yield None, lambda: model_from_json(text)
    yield None, lambda: model_from_config(config)
    yield None, lambda: Sequential.from_config(config["config"])
    for whole in (config, {"module": "keras", "registered_name": None, **config}):
        yield None, lambda whole=whole: layers.deserialize(whole)
        for safe in (True, False):
            yield (
                None,
                lambda whole=whole, safe=safe: deserialize_keras_object(
                    {"module": "keras", **whole}, safe_mode=safe
                ),
            )


def refused_everywhere(folder, layer, name):
    """Check that a model with a layer is refused in each way in, by its name, doing nothing."""
    for path, call in ways_in(folder, sequential([*two_layers(), layer])):
        with nothing_happens(path):
            refuses(call, name)


def outcome(call, path=None):
    """Return what a call that does nothing else says: its ValueError or its warnings."""
    with nothing_happens(path), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            call()
        except ValueError as error:
            return str(error)
    return " ".join(str(one.message) for one in caught)


def layer(class_name, module="keras.layers", registered_name=None, **config):
    return {
        "module": module,
        "class_name": class_name,
        "config": {"name": "harm", **config},
        "registered_name": registered_name,
    }


def function(module, name, registered_name="function"):
    return {
        "module": module,
        "class_name": "function",
        "config": name,
        "registered_name": registered_name,
    }


def a_model():
    return Sequential([Input((4,)), Dense(3, activation="tanh"), Dense(2)])


def changed_dense(slot, thing):
    """Return a Dense layer with anything in one place of its configuration."""
    made = dense("dense", 3)
    made["config"][slot] = thing
    return made


# ---- the exploits ---

CODE_LAYERS = {
    "Keras 2": lambda: layer("Lambda", function=[lambda_code(), None, None], function_type="lambda",
                             module=None, output_shape=[2], arguments={}),
    "Keras 3": lambda: layer("Lambda", function={"class_name": "__lambda__", "config": {
        "code": lambda_code(), "defaults": None, "closure": None}}, arguments={}),
    "by name": lambda: layer("Lambda", function="run", function_type="function", module="harmful"),
    "in TimeDistributed": lambda: layer("TimeDistributed", layer=CODE_LAYERS["Keras 3"]()),
    "in Bidirectional": lambda: layer("Bidirectional", layer=CODE_LAYERS["Keras 3"]()),
    "in Wrapper": lambda: layer("Wrapper", layer=CODE_LAYERS["Keras 3"]()),
    "in a nested model": lambda: sequential([CODE_LAYERS["Keras 3"]()], name="harm"),
    "with its output shape": lambda: layer("Lambda", output_shape=[lambda_code(), None, None],
                                           output_shape_type="lambda", function="relu"),
    "old module": lambda: layer("Lambda", module="keras.layers.core.lambda_layer",
                                function=[lambda_code(), None, None], function_type="lambda"),
}  # fmt: skip


#: Functions that a configuration was made to call: those of other modules, and Keras's own.
FUNCTIONS = [
    function("os", "system", "system"),
    function("harmful", "run"),
    function("builtins", "exec"),
    function("keras.utils", "get_file"),  # CVE-2025-8747
    function("keras.src.utils.file_utils", "get_file"),
    function("keras.config", "enable_unsafe_deserialization"),  # CVE-2025-9906
    function("keras.src.backend.common.global_state", "set_global_attribute"),
    function("keras.models", "load_model"),
    function("keras.saving", "load_weights"),
    function("keras.src.utils.python_utils", "func_load"),
    function("keras.src.saving.serialization_lib", "deserialize_keras_object"),
    function("keras.utils", "pad_sequences"),
    function("numpy", "load"),
    {"class_name": "__lambda__", "config": {"code": "4wAAAA", "defaults": None, "closure": None}},
    {"class_name": "__typespec__", "module": "harmful", "spec_name": "Thing", "config": None,
     "serialized": [], "registered_name": None},
    {"class_name": "Thing", "module": "harmful", "config": {}, "registered_name": "Thing"},
    {"class_name": "Lambda", "module": "keras.layers", "registered_name": None,
     "config": {"function": ["4wAAAA", None, None]}},
    {"class_name": "TFSMLayer", "module": "keras.layers", "registered_name": None,
     "config": {"filepath": "https://example.com/model"}},
]  # fmt: skip
NAMES = [
    str(one["config"] if one["class_name"] == "function" else one["class_name"])
    for one in FUNCTIONS
]


SLOTS = [
    "activation", "activity_regularizer", "bias_constraint", "bias_initializer", "bias_regularizer",
    "kernel_constraint", "kernel_initializer", "kernel_regularizer", "units",
]  # fmt: skip
#: Those of which only the truth, or a word in it, is looked at, or nothing.
OTHER_PLACES = ["dtype", "quantization_config", "build_config", "name", "lora_rank", "use_bias"]

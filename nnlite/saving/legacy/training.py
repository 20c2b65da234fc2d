"""Creates the optimizer, loss and metrics that Keras 1.2 to 3.15 wrote.

Predicting needs none of them, so unknown parts are left out with a note, never refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nnlite import losses, metrics, optimizers
from nnlite.backend.variables import weights_from_file
from nnlite.losses.labels import follows_from_data
from nnlite.optimizers import schedules
from nnlite.saving.load_report import LoadReport
from nnlite.serialization.objects import custom_object, get_registered_object, made_from
from nnlite.serialization.registry import Registry

Config = dict[str, Any]

#: The errors that creating an object from a file's data can raise.
_FAULTS = (TypeError, ValueError, KeyError, AttributeError, ArithmeticError)


def compile_arguments(config: Any, notes: LoadReport, several: bool = False) -> Config | None:
    """Return the arguments for `compile` from a ``compile_config`` or ``training_config``.

    Args:
        config: The configuration, with plain values (see `legacy.plain`).
        notes: Collects what is left out.
        several: Whether the model has several outputs, so that lists and dicts are per output.

    Returns:
        ``optimizer``, ``loss``, ``loss_weights``, ``metrics`` and ``weighted_metrics``, each None
        if it is missing; or None if the model was not compiled.
    """
    if not isinstance(config, dict) or not config:
        return None
    optimizer = _optimizer(config.get("optimizer", config.get("optimizer_config")), notes)
    if several:
        return {
            "optimizer": optimizer,
            "loss": _losses(config.get("loss"), notes),
            "loss_weights": config.get("loss_weights"),
            "metrics": _metrics_by_output(config.get("metrics"), notes),
            "weighted_metrics": _metrics_by_output(config.get("weighted_metrics"), notes),
        }
    weights = list(_flat(config.get("loss_weights")))
    known = len(weights) == 1 and type(weights[0]) in (int, float) and abs(weights[0]) < 1e30
    if not known and any(weight not in (None, 1) for weight in weights):
        notes.skip(f"loss_weights={config['loss_weights']!r:.200}")
    return {
        "optimizer": optimizer,
        "loss": _loss(config.get("loss"), notes),
        "loss_weights": weights[0] if known else None,
        "metrics": _metrics(config.get("metrics"), notes),
        "weighted_metrics": _metrics(config.get("weighted_metrics"), notes),
    }


def _flat(value: Any) -> Iterator[Any]:
    """Yield the entries of nested lists, and of dicts by the name of an output."""
    if isinstance(value, dict) and "class_name" not in value:
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _flat(part)
    elif value is not None:
        yield value


def _made(kind: Registry[Any], value: Config, notes: LoadReport) -> Any:
    """Return the object for a configuration, without the settings that its class does not take."""
    own = custom_object(value, None)
    if own is not None:
        return made_from(own, value)
    name = str(value["class_name"]).rsplit(">", 1)[-1]  # "Custom>Adam", "Addons>AdamW"
    cls = kind.lookup(name)
    takes = {*cls._parameters(), *cls.fixed_config}  # type: ignore[attr-defined]
    inner = value["config"] if isinstance(value.get("config"), dict) else {}
    kept = {key: part for key, part in inner.items() if key in takes}
    for key, part in inner.items():
        if key not in takes and key not in _NO_MATTER and part not in (None, False, 0, ""):
            notes.skip(f"{key}={part!r:.200} of the {kind.kind} {name}")
    thresholds = kept.get("num_thresholds")
    if isinstance(thresholds, int) and thresholds > _MOST_THRESHOLDS:
        raise ValueError(f"num_thresholds={thresholds}; at most {_MOST_THRESHOLDS} are read")
    with weights_from_file(0):  # a setting of training must not be a model with its own weights
        return kind.deserialize({"class_name": name, "config": kept})


#: The most thresholds of one metric that are read: their arrays are allocated at once.
_MOST_THRESHOLDS = 20_000

#: The most metrics that are read: each unknown one is compared with all names.
_MOST_METRICS = 100

#: Settings without effect here: how TensorFlow ran it, and a loss's or metric's own function.
_NO_MATTER = frozenset({"is_legacy_optimizer", "jit_compile", "fn", "dtype"})


# ---- optimizers ---------------------------------------------------------------------------


def _optimizer(value: Any, notes: LoadReport) -> optimizers.Optimizer | None:
    value = _function(value)
    if isinstance(value, str):
        value = {"class_name": value, "config": {}}
    if not isinstance(value, dict) or not isinstance(value.get("class_name"), str):
        if value is not None:
            notes.skip(f"the optimizer {value!r:.200}")
            notes.unread["optimizer"] = value
        return None
    inner = dict(value["config"]) if isinstance(value.get("config"), dict) else {}
    if value["class_name"] == "LossScaleOptimizer":  # of mixed precision: it holds the real one
        return _optimizer(inner.get("inner_optimizer", inner.get("optimizer")), notes)
    if "lr" in inner:  # Keras before 2.3
        inner.setdefault("learning_rate", inner.pop("lr"))
    if inner.get("epsilon", 0) is None:  # the default in Keras 2.1 to 2.3
        del inner["epsilon"]
    schedules_are_made(inner, notes)
    decay_is_a_schedule(value["class_name"], inner, notes)
    try:
        made = _made(optimizers.registry, {**value, "config": inner}, notes)
        return optimizers.get(made)
    except _FAULTS as error:
        notes.skip(f"the optimizer {value['class_name']} ({error})")
        notes.unread["optimizer"] = value
        return None


def schedules_are_made(config: Config, notes: LoadReport) -> None:
    """Create the schedule, or replace an unknown one by its first rate."""
    rate = config.get("learning_rate")
    if not isinstance(rate, dict):
        return
    inner = rate.get("config")
    try:
        config["learning_rate"] = _made(schedules.registry, rate, notes)
    except _FAULTS as error:
        notes.skip(f"the learning rate schedule {rate.get('class_name')} ({error})")
        first = inner.get("initial_learning_rate") if isinstance(inner, dict) else None
        del config["learning_rate"]
        if isinstance(first, float):
            config["learning_rate"] = first


def decay_is_a_schedule(name: str, config: Config, notes: LoadReport) -> None:
    """Until 2.10, ``decay`` divided the rate by 1 + decay * steps, except in Nadam."""
    decay = config.pop("decay", None)
    config.pop("schedule_decay", None)
    if not decay or name.lower() == "nadam":  # Nadam's 0.004 is in its formula now
        return
    rate = config.get("learning_rate")
    if isinstance(rate, float) and isinstance(decay, float):
        config["learning_rate"] = schedules.InverseTimeDecay(rate, 1, decay)
    else:
        notes.skip(f"decay={decay!r} of the optimizer {name}")


# ---- losses and metrics -------------------------------------------------------------------


def _function(value: Any) -> Any:
    """Return a function's name, or the function that the program has registered for it."""
    if isinstance(value, dict) and value.get("class_name") == "function":
        own = get_registered_object(value.get("registered_name"))
        return value.get("config") if own is None else own
    return value


def _loss(value: Any, notes: LoadReport) -> Any:
    """Return the one loss, or its name; it may be in a list, or in a dict by its output."""
    given = list(_flat(value))
    if len(given) != 1:
        if given:
            notes.skip(f"the losses {given!r:.200}, more than one")
            notes.unread["loss"] = value
        return None
    one = _function(given[0])
    if follows_from_data(one):
        return one
    try:
        if isinstance(one, dict):
            inner = dict(one["config"]) if isinstance(one.get("config"), dict) else {}
            # Keras 2's "auto" was the mean over the batch, and so was "none" in training.
            if inner.get("reduction") in ("auto", "none", None):
                inner.pop("reduction", None)
            inner.pop("dtype", None)
            if one["class_name"] == "LossFunctionWrapper":
                return losses.registry.get(_function(inner.get("fn")))
            one = _made(losses.registry, {**one, "config": inner}, notes)
        made = losses.get(one)
        return one if isinstance(one, str) else made
    except _FAULTS as error:
        notes.skip(f"the loss {_shown(given[0])} ({error})")
        notes.unread["loss"] = value
        return None


def _losses(value: Any, notes: LoadReport) -> Any:
    """Return the losses of several outputs; one for all of them stays one."""
    if isinstance(value, dict) and "class_name" not in value:
        made: Any = {key: _loss(part, notes) for key, part in value.items()}
    elif isinstance(value, list):
        made = [_loss(part, notes) for part in value]
    else:
        return _loss(value, notes)
    if "loss" in notes.unread:  # one missing loss makes the others useless
        notes.unread["loss"] = value
        return None
    return made


def _metrics_by_output(value: Any, notes: LoadReport) -> Any:
    """Return the metrics of several outputs in the same lists or dict."""
    if len(list(_flat(value))) > _MOST_METRICS:
        notes.skip(f"more than {_MOST_METRICS} metrics")
        return None
    if isinstance(value, dict) and "class_name" not in value:
        return {key: _metrics_by_output(part, notes) for key, part in value.items()}
    if isinstance(value, list):
        return [_metrics_by_output(part, notes) for part in value]
    return None if value is None else _metric(value, notes)


def _metrics(value: Any, notes: LoadReport) -> list[Any] | None:
    given = list(_flat(value))
    if len(given) > _MOST_METRICS:
        notes.skip(f"{len(given) - _MOST_METRICS} of {len(given)} metrics")
    made = [_metric(one, notes) for one in given[:_MOST_METRICS]]
    return [one for one in made if one is not None] or None


def _metric(value: Any, notes: LoadReport) -> Any:
    """Return a metric, or a name whose metric follows from the data, or None."""
    one = _function(value)
    try:
        if isinstance(one, str) and one.lower() in ("accuracy", "acc", "crossentropy", "ce"):
            return one
        if isinstance(one, dict) and one["class_name"] == "MeanMetricWrapper":
            # Keras created it from a name in compile.
            inner = dict(one["config"]) if isinstance(one.get("config"), dict) else {}
            made = metrics.get(_watched(_function(inner.get("fn")), notes))
            made.name = inner["name"] if isinstance(inner.get("name"), str) else made.name
            return made
        watched = _watched(one, notes)
        metrics.get(watched)
    except _FAULTS as error:
        notes.skip(f"the metric {_shown(value)} ({error})")
        return None
    return watched


def _watched(value: Any, notes: LoadReport) -> Any:
    """Return a metric, or a loss used as one, from its configuration; else the value itself."""
    if not isinstance(value, dict):
        return value
    inner = dict(value["config"]) if isinstance(value.get("config"), dict) else {}
    inner.pop("dtype", None)
    kind: Registry[Any] = metrics.registry
    if str(value.get("module")).endswith("losses"):
        kind = losses.registry
    return _made(kind, {**value, "config": inner}, notes)


def _shown(value: Any) -> str:
    name = _function(value)
    if isinstance(name, dict):
        name = name.get("class_name")
    return f"{name!r:.200}"

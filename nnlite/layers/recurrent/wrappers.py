"""Wrappers: a layer in both directions of a sequence, or at every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nnlite.layers.layer import Layer, Shape, Shapes, registry
from nnlite.layers.normalization.batch_normalization import BatchNormalization
from nnlite.layers.recurrent.rnn import RNN, states_beside
from nnlite.symbolic import any_symbolic
from nnlite.utils.structures import flatten, map_structure
from nnlite.utils.typing import Array


class _Wrapper(Layer):
    """Base class of layers that run inner layers themselves."""

    supports_masking = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._runs = {training: _Run(self, training) for training in (False, True)}

    def stages(self, training: bool) -> Sequence[Layer]:
        """Return the primitive layer that runs the inner layers."""
        return (self._runs[training],)

    def run_within(self, x: Any, y: Any, mask: Any, training: bool) -> Any:
        """Write the output for ``x`` into ``y``, and return what the backward pass needs."""
        raise NotImplementedError

    def run_back_within(self, dy: Any, dx: Any, also: Any) -> None:
        """Write the gradient of the input into those parts of ``dx`` that are not None."""
        raise NotImplementedError

    def ensure_built(self, input_shape: Shapes) -> None:
        """Build the layers; see `Layer.ensure_built`."""
        super().ensure_built(input_shape)
        for run in self._runs.values():
            run._variables = self.all_variables()


class _Run(Layer):
    """The primitive layer of a `_Wrapper`."""

    supports_masking = True

    def __init__(self, owner: _Wrapper, training: bool) -> None:
        super().__init__(dtype=owner.dtype)
        self._owner = owner
        self._training = training

    def arrays(self, shape: Any) -> dict[str, tuple[Any, Any]]:
        """Return the array of what the inner layers keep for the backward pass."""
        return {"kept": ((1,), object)}

    def compute_output_dtype(self, *input_dtypes: str) -> str:
        """Return the layer's `takes`."""
        return self._owner.dtype

    def output_shape_for(self, x: Any) -> Shapes:
        """Return the shapes of the outputs for the arrays ``x``."""
        return self._owner.compute_output_shape(map_structure(np.shape, x))

    def compute_output_shape(self, input_shape: Shapes) -> Shapes:
        """Return the layer's output shape."""
        return self._owner.compute_output_shape(input_shape)

    def forward_into(self, x: Any, y: Any, mask: Any, kept: Array) -> None:
        """Write the output of the inner layers into ``y``."""
        also = self._owner.run_within(x, y, mask, self._training)
        if self._training:  # another call of the layer would overwrite what this one keeps
            parts = [(part, vars(part).get("cache")) for part in self._owner.all_layers()]
            kept[0] = (parts, also)

    def backward_into(self, dy: Any, dx: Any, kept: Array) -> None:
        """Run the backward pass of the inner layers."""
        parts, also = kept[0]
        for part, cache in parts:
            part.cache = cache
        self._owner.run_back_within(dy, dx, also)

    def settle_from(self, arrays: Mapping[str, Any]) -> None:
        """Update the inner layers with what they have gathered."""
        for layer in self._owner.sublayers():
            layer.settle()


@registry.register()
class TimeDistributed(_Wrapper):
    """A layer applied to every step of a sequence, with the same weights.

    Args:
        layer: The layer. All steps of a batch are its samples: a `BatchNormalization` takes its
            moments over all steps that count. A mask with more axes than (batch, steps) is passed
            to the layer, step by step.
        **kwargs: As for `Layer`.

    Raises:
        ValueError: If ``layer`` is not a layer; or on a call, if the input has no steps.

    >>> from nnlite.layers import Dense
    >>> TimeDistributed(Dense(2))(np.ones((3, 5, 4))).shape
    (3, 5, 2)
    """

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.layer = _inner("layer", layer)

    def sublayers(self) -> Sequence[Layer]:
        """Return the layer."""
        return (self.layer,)

    def build(self, input_shape: Shape) -> None:
        """Build the layer for a step."""
        self.layer.ensure_built(self._of_step(input_shape))

    def _of_step(self, input_shape: Shape) -> Shape:
        if not isinstance(input_shape, tuple) or len(input_shape) < 3:
            raise ValueError(
                f"Layer {self.name!r} expects an input of shape (batch, steps, ...). Received: "
                f"input_shape={input_shape}"
            )
        return (input_shape[0], *input_shape[2:])

    def takes(self, input_shape: Shape) -> bool:
        """Return whether the layer accepts the steps."""
        return not self.built or (
            len(input_shape) > 2 and self.layer.takes((input_shape[0], *input_shape[2:]))
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, steps, ...), with the layer's output shape of a step."""
        batch, *rest = self.layer.told_shape(self._of_step(input_shape))
        return (batch, input_shape[1], *rest)

    def run_within(self, x: Array, y: Array, mask: Any, training: bool) -> None:
        """Run the layer on all steps as samples."""
        layer, samples = self.layer, _as_samples(x)
        if mask is not None and (mask.ndim > 2 or isinstance(layer, BatchNormalization)):
            if layer.is_model:
                raise ValueError(
                    f"Layer {self.name!r} cannot pass a mask of shape {mask.shape} to a model. "
                    "Make the mask inside the model."
                )
            if any(part.takes_mask for part in (layer, *layer.in_stages(training))):
                y[...] = layer._forward(samples, training, _as_samples(mask)).reshape(y.shape)
                return
        y[...] = layer.run_forward(samples, training).reshape(y.shape)

    def run_back_within(self, dy: Array, dx: Any, also: None) -> None:
        """Run the backward pass of the layer."""
        back = self.layer.run_backward(_as_samples(dy))
        if dx is not None:
            dx[...] = back.reshape(dx.shape)


def _as_samples(steps: Array) -> Array:
    return steps.reshape(-1, *steps.shape[2:])


def _inner(name: str, layer: Any) -> Layer:
    """Return a layer, given as such or as plain data."""
    layer = registry.deserialize(layer) if isinstance(layer, Mapping) else layer
    if not isinstance(layer, Layer):
        raise ValueError(  # noqa: TRY004  as in Keras
            f"{name} must be a layer. Received: {name}={layer!r} (of type {type(layer).__name__})"
        )
    return layer


_MERGES = ("concat", "sum", "mul", "ave", None)


@registry.register()
class Bidirectional(_Wrapper):
    """A recurrent layer and one that runs backwards, with their outputs merged.

    Source: Schuster and Paliwal, "Bidirectional Recurrent Neural Networks", 1997.

    Args:
        layer: The recurrent layer; a copy with new weights is used.
        merge_mode: ``"concat"`` joins the outputs side by side, ``"sum"``, ``"mul"`` and ``"ave"``
            add, multiply or average them; None returns both.
        weights: The initial weights of both layers, as `get_weights` returns them.
        backward_layer: The layer that runs backwards; by default another copy.
        **kwargs: As for `Layer`.

    Raises:
        ValueError: If a layer is not recurrent, both run in the same direction or have different
            outputs, or ``merge_mode`` is unknown.

    >>> from nnlite.layers import LSTM
    >>> Bidirectional(LSTM(4, return_sequences=True))(np.ones((2, 5, 3))).shape
    (2, 5, 8)
    """

    takes_several = True
    masks_one = True
    call_options = RNN.call_options

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: Any = None,
        backward_layer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if merge_mode not in _MERGES:
            raise ValueError(
                f"merge_mode must be one of {', '.join(map(repr, _MERGES))}. Received: "
                f"merge_mode={merge_mode!r}"
            )
        self.merge_mode = merge_mode
        given = _recurrent("layer", layer)
        self.aside = (given,)
        self.forward_layer = _copied(given, "forward_", given.go_backwards)
        if backward_layer is None:
            self.backward_layer = _copied(given, "backward_", True)
        else:
            self.backward_layer = _recurrent("backward_layer", backward_layer)
        for name, same in [("go_backwards", False), ("return_sequences", True)] + [
            (name, True) for name in ("return_state", "stateful")
        ]:
            both = [getattr(one, name) for one in self.sublayers()]
            if (both[0] == both[1]) != same:
                raise ValueError(
                    f"layer and backward_layer must have {'the same' if same else 'different'} "
                    f"{name}. Received: {both[0]} and {both[1]}"
                )
        self.return_sequences, self.return_state = given.return_sequences, given.return_state
        for one in self.sublayers():
            one.zero_output_for_mask = self.return_sequences
        self._beginning = weights
        outputs = 2 if merge_mode is None else 1
        for run in self._runs.values():
            run.mask_outputs = outputs * self.return_sequences

    @property
    def layer(self) -> RNN:
        """The layer that runs forwards."""
        return self.forward_layer

    def sublayers(self) -> Sequence[RNN]:
        """Return both layers."""
        return (self.forward_layer, self.backward_layer)

    def build(self, input_shape: Shapes) -> None:
        """Build both layers."""
        for layer in self.sublayers():
            layer.ensure_built(input_shape)

    def ensure_built(self, input_shape: Shapes) -> None:
        """Build the layers, and set the weights that were given; see `Layer.ensure_built`."""
        super().ensure_built(input_shape[0] if isinstance(input_shape, list) else input_shape)
        if self._beginning is not None:
            self.set_weights(self._beginning)
            self._beginning = None

    @classmethod
    def _parameters(cls) -> dict[str, Any]:
        """Return the constructor's arguments, without the weights."""
        return {name: value for name, value in super()._parameters().items() if name != "weights"}

    def reset_state(self) -> None:
        """Set the states with which the next batch begins to 0; see `RNN`."""
        for layer in self.sublayers():
            layer.reset_state()

    reset_states = reset_state

    def takes(self, input_shape: Shapes) -> bool:
        """Return whether the layers accept such sequences."""
        return self.forward_layer.takes(input_shape)

    def compute_output_shape(self, input_shape: Shapes) -> Shapes:
        """Return the shape of the output, followed by those of the states if returned."""
        told: Any = self.forward_layer.compute_output_shape(input_shape)
        output, *states = told if self.return_state else [told]
        if self.merge_mode == "concat":
            output = (*output[:-1], 2 * output[-1])
        outputs = [output] * (2 if self.merge_mode is None else 1) + states * 2
        return outputs if len(outputs) > 1 else output

    def _sizes(self) -> list[int]:
        """Return the sizes of the states of both layers."""
        return 2 * flatten(self.forward_layer.state_size)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return the mask of each output: the input's mask for a sequence, else None."""
        mask = flatten(previous_mask)[0] if self.return_sequences else None
        masks = [mask] * (2 if self.merge_mode is None else 1)
        masks += [None] * (len(self._sizes()) * self.return_state)
        return masks if len(masks) > 1 else mask

    def __call__(
        self, x: Any, training: bool | None = None, mask: Any = None, initial_state: Any = None
    ) -> Any:
        """Return the output for sequences; see `RNN`.

        Args:
            x: A batch of shape (batch, steps, features), or a tensor.
            training: As for `Layer`.
            mask: Which steps count, of shape (batch, steps).
            initial_state: The initial states of both layers; 0 by default.

        Raises:
            ValueError: If the number of states or a shape does not fit.
        """
        x, states = states_beside(self, x, initial_state, self._sizes())
        if states and any_symbolic([x, *states]):
            return self.on_tensors((x, *states), training)
        return super().__call__([x, *states] if states else x, training, mask)

    def run_within(self, x: Any, y: Any, mask: Any, training: bool) -> tuple[Array, Array]:
        """Run both layers, and merge their outputs."""
        x, *states = x if isinstance(x, list) else [x]
        mask = mask[0] if isinstance(mask, list) else mask
        half = len(states) // 2
        made: list[Any] = []
        for layer, own in zip(self.sublayers(), (states[:half], states[half:]), strict=True):
            masks = [mask, *[None] * half] if own else mask
            made.append(layer._forward([x, *own] if own else x, training, masks))
        outputs = y if isinstance(y, list) else [y]
        pairs = [one if isinstance(one, list) else [one] for one in made]
        both = pairs[0][0], self._in_time(pairs[1][0])
        if self.merge_mode is None:
            outputs[0][...], outputs[1][...] = both
        else:
            self._merge(*both, outputs[0])
        rest = outputs[2 if self.merge_mode is None else 1 :]
        for into, state in zip(rest, pairs[0][1:] + pairs[1][1:], strict=True):
            into[...] = state
        return both

    def _in_time(self, output: Array) -> Array:
        """Return the output of the backward layer, with its steps in order."""
        return output[:, ::-1] if self.return_sequences else output

    def _merge(self, a: Array, b: Array, y: Array) -> None:
        if self.merge_mode == "concat":
            np.concatenate([a, b], axis=-1, out=y)
        elif self.merge_mode == "mul":
            np.multiply(a, b, out=y)
        else:
            np.add(a, b, out=y)
            if self.merge_mode == "ave":
                y *= 0.5

    def run_back_within(self, dy: Any, dx: Any, also: tuple[Array, Array]) -> None:
        """Run the backward pass of both layers; the input's gradient is the sum of theirs."""
        dy = dy if isinstance(dy, list) else [dy]
        outputs = 2 if self.merge_mode is None else 1
        parts = self._apart(dy[:outputs], *also)
        parts[1] = self._in_time(parts[1])
        states = dy[outputs:]
        half = len(states) // 2
        found: list[Any] = []
        for layer, part, own in zip(
            self.sublayers(), parts, (states[:half], states[half:]), strict=True
        ):
            back = layer.backward([part, *own] if own else part)
            found.append(back if isinstance(back, list) else [back])
        (of_x, *of_first), (of_x_too, *of_second) = found
        into = dx if isinstance(dx, list) else [dx]
        for array, gradient in zip(into, [of_x + of_x_too, *of_first, *of_second], strict=True):
            if array is not None:
                array[...] = gradient

    def _apart(self, dy: Sequence[Array], a: Array, b: Array) -> list[Array]:
        """Return the derivatives with respect to both layers' outputs."""
        if self.merge_mode is None:
            return list(dy)
        (d,) = dy
        if self.merge_mode == "concat":
            return np.split(d, 2, axis=-1)
        if self.merge_mode == "mul":
            return [d * b, d * a]
        return [d * 0.5] * 2 if self.merge_mode == "ave" else [d, d]


def _recurrent(name: str, layer: Any) -> RNN:
    layer = _inner(name, layer)
    if isinstance(layer, RNN):
        return layer
    raise ValueError(f"{name} must be a recurrent layer. Received: {name}={layer!r}")


def _copied(layer: RNN, prefix: str, go_backwards: bool) -> RNN:
    """Return a layer of the same configuration, with new weights and a new name."""
    config = layer.get_config() | {"go_backwards": go_backwards}
    config["name"] = prefix + layer.name.removeprefix(prefix)
    return type(layer).from_config(config)

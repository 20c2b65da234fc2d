"""Nets of other layers than Dense by PyTorch, in its own order of axes or with channels last."""

# mypy: disable-error-code="import-not-found"
from __future__ import annotations

from typing import Any

import torch

from benchmarks.contenders import Operation
from benchmarks.contenders.layered import operations
from benchmarks.workloads import LEARNING_RATES, Workload, data, first_weights

__all__ = ["prepare"]

LOSSES = {
    "mse": torch.nn.functional.mse_loss,
    "bce": torch.nn.functional.binary_cross_entropy_with_logits,
    "cce": torch.nn.functional.cross_entropy,
}


def prepare(
    workload: Workload, optimizer: str, channels_last: bool = False
) -> dict[str, Operation]:
    """Return ``fit`` and ``predict_many``."""
    images = len(workload.sizes) == 4
    if optimizer != "sgd" or (channels_last and not images):
        return {}
    model = _Net(workload)
    x, y = (torch.from_numpy(array) for array in data(workload))
    if images:
        x = x.permute(0, 3, 1, 2).contiguous()
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
        x = x.contiguous(memory_format=torch.channels_last)
    rule = torch.optim.SGD(model.parameters(), LEARNING_RATES[optimizer], fused=True)
    loss_of = LOSSES[workload.loss]

    def fit(epochs: int) -> float:
        total = torch.zeros(())
        for _ in range(epochs):
            total = torch.zeros(())
            order = torch.randperm(len(x))
            for start in range(0, len(x), workload.batch):
                rows = order[start : start + workload.batch]
                rule.zero_grad()
                loss = loss_of(model(x[rows]), y[rows])
                loss.backward()
                rule.step()
                total += loss.detach()
        return float(total) / workload.steps

    def predict() -> Any:
        with torch.inference_mode():
            return [model(x[i : i + workload.batch]) for i in range(0, len(x), workload.batch)]

    return operations(workload, fit, predict)


class _Net(torch.nn.Module):  # type: ignore[misc, unused-ignore]
    """A workload's net up to its logits."""

    def __init__(self, workload: Workload) -> None:
        super().__init__()
        weights = [torch.from_numpy(array) for array in first_weights(workload)]
        made: list[Any] = []
        for name, *arguments in workload.layers:
            made.append(_MAKERS[name](weights, arguments))
            if "relu" in arguments:
                made.append(torch.nn.ReLU())
        self.parts = torch.nn.ModuleList(made)

    def forward(self, inputs: Any) -> Any:
        """Return the logits."""
        x = inputs
        for part in self.parts:
            x = torch.cat([x, inputs], -1) if isinstance(part, _Beside) else part(x)
        return x


class _Beside(torch.nn.Module):  # type: ignore[misc, unused-ignore]
    """Stands for putting the inputs beside what came of them."""


class _LastOf(torch.nn.Module):  # type: ignore[misc, unused-ignore]
    """A recurrent layer's output at the last step."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Any) -> Any:
        """Return it."""
        return self.layer(x)[0][:, -1]


class _Rows(torch.nn.Module):  # type: ignore[misc, unused-ignore]
    """Flattens images with their channels last, as Keras does, so that the weights fit."""

    def forward(self, x: Any) -> Any:
        """Return one row a sample."""
        return (x.permute(0, 2, 3, 1) if x.ndim == 4 else x).reshape(len(x), -1)


class _Mean(torch.nn.Module):  # type: ignore[misc, unused-ignore]
    """The mean over rows and columns."""

    def forward(self, x: Any) -> Any:
        """Return one number a channel."""
        return x.mean((2, 3))


def _filled(layer: Any, **weights: Any) -> Any:
    for name, value in weights.items():
        getattr(layer, name).data.copy_(value)
    return layer


def _dense(weights: list[Any], arguments: list[Any]) -> Any:
    kernel, bias = weights.pop(0), weights.pop(0)
    return _filled(torch.nn.Linear(*kernel.shape), weight=kernel.T, bias=bias)


def _conv(weights: list[Any], arguments: list[Any]) -> Any:
    kernel, bias = weights.pop(0), weights.pop(0)
    rows, _, channels, filters = kernel.shape
    layer = torch.nn.Conv2d(channels, filters, rows)
    return _filled(layer, weight=kernel.permute(3, 2, 0, 1), bias=bias)


def _depthwise(weights: list[Any], arguments: list[Any]) -> Any:
    kernel, bias = weights.pop(0), weights.pop(0)
    rows, _, channels, _ = kernel.shape
    layer = torch.nn.Conv2d(channels, channels, rows, groups=channels)
    return _filled(layer, weight=kernel.permute(2, 3, 0, 1), bias=bias)


def _recurrent(kind: Any, order: tuple[int, ...]) -> Any:
    def make(weights: list[Any], arguments: list[Any]) -> Any:
        kernel, recurrent, bias = (weights.pop(0) for _ in range(3))
        layer = kind(len(kernel), len(recurrent), batch_first=True)

        def gates(array: Any) -> Any:
            parts = array.chunk(len(order), -1)
            return torch.cat([parts[i] for i in order], -1)

        both = bias if bias.ndim == 2 else torch.stack([bias, torch.zeros_like(bias)])
        return _LastOf(
            _filled(
                layer,
                weight_ih_l0=gates(kernel).T,
                weight_hh_l0=gates(recurrent).T,
                bias_ih_l0=gates(both[0]),
                bias_hh_l0=gates(both[1]),
            )
        )

    return make


def _embedding(weights: list[Any], arguments: list[Any]) -> Any:
    return torch.nn.Embedding.from_pretrained(weights.pop(0).clone(), freeze=False)


_MAKERS = {
    "Dense": _dense,
    "Conv2D": _conv,
    "DepthwiseConv2D": _depthwise,
    "LSTM": _recurrent(torch.nn.LSTM, (0, 1, 2, 3)),
    "GRU": _recurrent(torch.nn.GRU, (1, 0, 2)),
    "Embedding": _embedding,
    "MaxPooling2D": lambda weights, arguments: torch.nn.MaxPool2d(arguments[0]),
    "GlobalAveragePooling2D": lambda weights, arguments: _Mean(),
    "Flatten": lambda weights, arguments: _Rows(),
    "Beside": lambda weights, arguments: _Beside(),
}

"""PyTorch as it is trained by hand: fused optimizers, tensors taken by a permutation."""

# mypy: disable-error-code="import-not-found"
from __future__ import annotations

from typing import Any

import torch

from benchmarks.contenders import Operation, torch_layered
from benchmarks.contenders.calls import calls
from benchmarks.workloads import DROPOUT, LEARNING_RATES, Workload, data, first_weights, many_rows

__all__ = ["prepare"]

LOSSES = {
    "mse": torch.nn.functional.mse_loss,
    "bce": torch.nn.functional.binary_cross_entropy_with_logits,
    "cce": torch.nn.functional.cross_entropy,
}


def prepare(workload: Workload, optimizer: str, compiled: bool = False) -> dict[str, Operation]:
    """Return a training loop; ``compiled``, forward, loss and backward by ``torch.compile``."""
    if workload.layers:
        return {} if compiled else torch_layered.prepare(workload, optimizer)
    model = build(workload)
    x, y = (torch.from_numpy(array) for array in data(workload))
    rate = LEARNING_RATES[optimizer]
    rule: Any = {
        "sgd": lambda: torch.optim.SGD(model.parameters(), rate, fused=True),
        "momentum": lambda: torch.optim.SGD(model.parameters(), rate, momentum=0.9, fused=True),
        "adam": lambda: torch.optim.Adam(model.parameters(), rate, fused=True),
    }[optimizer]()

    def loss_of(inputs: Any, targets: Any) -> Any:
        return LOSSES[workload.loss](model(inputs), targets)

    def predict(inputs: Any) -> Any:
        with torch.inference_mode():
            return forward(inputs)

    loss_of = torch.compile(loss_of, dynamic=False) if compiled else loss_of
    forward = torch.compile(model, dynamic=False) if compiled else model

    def step(inputs: Any, targets: Any) -> Any:
        rule.zero_grad()
        loss = loss_of(inputs, targets)
        loss.backward()
        rule.step()
        return loss.detach()

    def fit(epochs: int) -> float:
        total = torch.zeros(())
        for _ in range(epochs):
            total = torch.zeros(())
            order = torch.randperm(len(x))
            for start in range(0, len(x), workload.batch):
                rows = order[start : start + workload.batch]
                whole = len(rows) == len(x)
                total += step(x, y) if whole else step(x[rows], y[rows])
        return float(total) / workload.steps

    if not workload.by_row:
        return {"fit": fit}
    rows = [(x[i : i + 1], y[i : i + 1]) for i in range(len(x))]
    single = calls(predict, [(row,) for row, _ in rows])
    return {
        "train_on_batch": calls(lambda *row: step(*row).item(), rows),
        "predict": single,
        "predict_on_batch": single,
        "predict_many": calls(predict, [(torch.from_numpy(many_rows(workload)),)]),
    }


def build(workload: Workload) -> Any:
    """Return the net up to its logits, with its first weights."""
    layers: list[Any] = []
    for kernel, bias in first_weights(workload):
        if layers:
            width = len(kernel)
            if workload.regular:
                layers.append(torch.nn.BatchNorm1d(width, eps=1e-3, momentum=0.01))
            layers.append(torch.nn.Tanh() if workload.hidden == "tanh" else torch.nn.ReLU())
            if workload.regular:
                layers.append(torch.nn.Dropout(DROPOUT))
        layer = torch.nn.Linear(*kernel.shape)
        layer.weight.data.copy_(torch.from_numpy(kernel.T.copy()))
        layer.bias.data.copy_(torch.from_numpy(bias))
        layers.append(layer)
    return torch.nn.Sequential(*layers)

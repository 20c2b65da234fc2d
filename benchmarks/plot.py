"""Draws the ratios of a run."""

from __future__ import annotations

from pathlib import Path

from benchmarks.contenders import CONTENDERS
from benchmarks.runner import Result, ratio
from benchmarks.workloads import OPTIMIZERS

__all__ = ["draw"]


def draw(results: list[Result], path: Path) -> bool:
    """Write the plot to ``path``, a panel an optimizer; False where there is no matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    timed = [result for result in results if not result.error]
    workloads = list(dict.fromkeys(result.workload for result in timed))
    optimizers = list(dict.fromkeys(result.optimizer for result in timed))
    others = [name for name in CONTENDERS if name not in ("nnlite", "bandwidth", "numpy")]
    figure = Figure((4.2 * len(optimizers), 5), layout="constrained")
    panels = figure.subplots(1, len(optimizers), sharey=True, squeeze=False)[0]
    for panel, optimizer in zip(panels, optimizers, strict=True):
        found = {(r.contender, r.workload): r for r in timed if r.optimizer == optimizer}
        for number, other in enumerate(others):
            points = []
            for place, workload in enumerate(workloads):
                ours, theirs = found.get(("nnlite", workload)), found.get((other, workload))
                if ours and theirs:
                    name = next(iter(theirs.seconds))  # fit, or train_on_batch of one row
                    points.append((place, ratio(ours.seconds[name], theirs.seconds[name])))
            if points:
                style = "_" if CONTENDERS[other].floor else "osD^vPX"[number % 7]
                label = CONTENDERS[other].title.replace("`", "")
                panel.plot(*zip(*points, strict=True), style, label=label, markersize=7)
        panel.axhline(1, color="black", linewidth=0.8)
        panel.set_yscale("log")
        panel.set_xticks(range(len(workloads)), workloads)
        panel.set_title(OPTIMIZERS[optimizer])
    panels[0].set_ylabel("time a step, nnlite / other (below 1: nnlite is quicker)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.savefig(path, metadata={"Date": None})
    return True

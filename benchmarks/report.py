"""Writes docs/benchmarks.md from the recorded runs, and a page of tables for each processor."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from benchmarks.contenders import CONTENDERS
from benchmarks.plot import draw
from benchmarks.quick import headline
from benchmarks.record import Run, runs
from benchmarks.runner import NEGLIGIBLE, TOLERANCE, Result, compare, ratio, spread, told
from benchmarks.targets import TEXTS, Verdict, import_seconds, verdicts
from benchmarks.workloads import OPTIMIZERS, WORKLOADS

__all__ = ["first_line", "summary", "tables", "write"]

TRIALS = Path(__file__).with_name("trials.md")
HEADINGS = {
    "fit": "a step of `fit`",
    "fit_with_bar": "a step of `fit` that draws its bar",
    "train_on_batch": "`train_on_batch` of one row",
    "predict": "`predict` of one row",
    "predict_on_batch": "`predict_on_batch` of one row",
    "predict_many": "`predict` of 100,000 rows",
}


def write(page: Path, run: Run | None = None) -> None:
    """Write the page of all recorded runs, and beside it the tables and the plot of ``run``."""
    if run is not None:
        folder = page.with_suffix("")
        folder.mkdir(exist_ok=True)
        figure = folder / f"{run.name}.svg"
        drawn = draw(run.results, figure)
        picture = f"![Ratios by workload]({figure.name})" if drawn else ""
        (folder / f"{run.name}.md").write_text(tables(run, picture))
    page.write_text(summary(runs(), page.stem))


def summary(recorded: list[Run], folder: str) -> str:
    """Return the page: the runs, the targets with what each run says of them, and the trials."""
    about = []
    for number, run in enumerate(recorded, 1):
        lines = [f"{number}. [**{run.title}**]({folder}/{run.name}.md). {first_line(run.results)}"]
        lines += [f"   - {name}: {text}" for name, text in run.head.items()]
        lines += [f"   - {note}" for note in run.notes]
        about.append("\n".join(lines))
    parts = [
        "# Benchmarks",
        "This page is written by `python -m benchmarks`. Each processor has one run, whose tables\n"
        "have their own page:",
        "\n".join(about),
        "## Targets",
        GUIDE,
        _targets(recorded),
        "## How it is measured",
        METHOD,
        TRIALS.read_text().strip(),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def tables(run: Run, picture: str = "") -> str:
    """Return the page of one run: what was run on what, and the tables of each workload."""
    parts = [
        f"# Benchmarks: {run.title}",
        f"Written by `{run.command}`; every number on this page is from that one run.",
        first_line(run.results),
        "\n".join(f"- {name}: {text}" for name, text in run.head.items()),
        "\n".join(f"- {note}" for note in run.notes),
        picture,
        "## Targets",
        _targets([run]),
        "## Import",
        _imports(run.results),
    ]
    for name in dict.fromkeys(result.workload for result in run.results):
        parts += _workload([result for result in run.results if result.workload == name])
    return "\n\n".join(part for part in parts if part) + "\n"


GUIDE = """\
A column is a run; a cell has the worst ratio among the optimizers, workloads and operations that
the target names, with the least and the largest ratio of one round, and where it was found."""

METHOD = f"""\
Every contender runs in its own process with its default threads, on the same float32 data from the
same first weights, with the same learning rate, batch size and number of steps, shuffled each
epoch, silent, without metrics. After the epochs in which whatever compiles compiles, each runs
epochs until one takes as long as the one before it (within 10 %, at most 10 epochs or 2 seconds).
Then the contenders are timed in turns, round after round, in an order that is drawn at random for
each round. A time is the median over rounds. **A ratio is nnlite's median / the other's: below 1,
nnlite is quicker**; in brackets are the least and the largest ratio of one round.

A loss is the mean of an epoch before the warm-up, when all have made as many steps; one that
differs from nnlite's by more than {TOLERANCE:.0%} + {NEGLIGIBLE} is marked with ≠, and its times
must not be believed. The peak of memory in the tables is the process's own, libraries and data
included. The target of memory counts what training adds to the interpreter, the libraries, BLAS
with its buffers and the copy of the first weights that the benchmark keeps; a process beside it
measures these in the matrix products of a step. The start is the time from the start of the
process to the end of the first epoch. Import times are each process's own; processes start one
after the other, beside those that wait already, so that they tell seconds from tenths of one, not
60 ms from 70.

The lean step in NumPy is written by hand for each small net: it takes the batch from the shuffled
rows, computes the loss, checks the gradient and updates one vector of weights, all in arrays that
are made once, with one BLAS thread. Floors do only a part of the work: the step's matrix products
alone; the optimizer's reads and writes at the speed of a copy by one thread; the prediction as a
NumPy expression."""


def first_line(results: list[Result]) -> str:
    """Return `fit` beside its bare matrix products, on medium where it was run."""
    found = {(r.contender, r.workload): r for r in results if r.optimizer == "sgd" and not r.error}
    for workload in ("medium", *WORKLOADS):
        ours, floor = found.get(("nnlite", workload)), found.get(("matmul", workload))
        if ours and floor:
            name = next(iter(floor.seconds))
            return headline(workload, ours.seconds[name], floor.seconds[name]) + "."
    return ""


def _workload(results: list[Result]) -> list[str]:
    workload = WORKLOADS[results[0].workload]
    net = "-".join(map(str, workload.sizes))
    if workload.layers:
        layers = (f"{name} {' '.join(map(str, own))}".strip() for name, *own in workload.layers)
        net = f"{net}: {', '.join(layers)}"
    kind = f"{workload.hidden}, {workload.output}, batch {workload.batch}"
    if workload.regular:
        kind += ", with BatchNormalization and Dropout"
    parts = [f"## {workload.name}: {net}", f"{kind}: {workload.stands_for}."]
    operations = dict.fromkeys(name for result in results for name in result.seconds)
    for name in operations:
        heading = HEADINGS[name]
        if workload.layers and name == "predict_many":
            heading = "a batch of `predict`"
        parts += [f"### {workload.name}: {heading}", _times(results, name)]
    return [*parts, f"### {workload.name}: the rest", _rest(results)]


def _times(results: list[Result], operation: str) -> str:
    """Return a table of times and ratios, a row a contender, two columns an optimizer."""
    timed = [result for result in results if operation in result.seconds and not result.error]
    optimizers = list(dict.fromkeys(result.optimizer for result in timed))
    cells = {(result.contender, result.optimizer): result.seconds[operation] for result in timed}
    head = [column for name in optimizers for column in (OPTIMIZERS[name], "ratio")]
    rows = []
    for contender in dict.fromkeys(result.contender for result in timed):
        row = [CONTENDERS[contender].title]
        for optimizer in optimizers:
            ours, theirs = cells.get(("nnlite", optimizer)), cells.get((contender, optimizer))
            row.append(_time(median(theirs)) if theirs else "")
            if not (ours and theirs) or contender == "nnlite":
                row.append("")
                continue
            row.append(told(ratio(ours, theirs), spread(ours, theirs)))
        rows.append(row)
    return _table([operation, *head], rows)


def _rest(results: list[Result]) -> str:
    """Return a table of start, memory and losses, a row a contender."""
    optimizers = list(dict.fromkeys(result.optimizer for result in results))
    references = {r.optimizer: r.loss for r in results if r.contender == "nnlite"}
    rows = []
    for contender in dict.fromkeys(result.contender for result in results):
        own = {r.optimizer: r for r in results if r.contender == contender}
        starts = [r.start_seconds for r in own.values() if r.start_seconds is not None]
        peaks = [peak for r in own.values() for peak in r.peaks]
        row = [CONTENDERS[contender].title, f"{median(starts):.2f} s" if starts else ""]
        row.append(f"{max(peaks) / 2**20:.0f} MiB" if peaks else "")
        for optimizer in optimizers:
            result = own.get(optimizer)
            if result is None or (result.loss is None and not result.error):
                row.append("")
            elif result.error:
                row.append("failed")
            else:
                same = compare(result.loss, references.get(optimizer))
                row.append(f"{result.loss:.4f}" + ("" if same else " ≠"))
        rows.append(row)
    losses = [f"loss, {OPTIMIZERS[optimizer]}" for optimizer in optimizers]
    return _table(["", "start to first epoch", "peak memory", *losses], rows)


def _imports(results: list[Result]) -> str:
    """Return a table of import times, median over all processes."""
    times: dict[tuple[str, ...], list[float]] = {}
    for result in results:
        libraries = CONTENDERS[result.contender].libraries
        seconds = import_seconds([result], (result.contender,))
        if seconds is not None:
            times.setdefault(libraries, []).append(seconds)
    rows = [[", ".join(names), _time(median(values))] for names, values in times.items()]
    return _table(["library", "time to import"], rows)


def _targets(recorded: list[Run]) -> str:
    """Return a table of the targets: for each run the worst case and whether it was reached."""
    found = [{verdict.text: verdict for verdict in verdicts(run.results)} for run in recorded]
    names = [run.title for run in recorded] if len(recorded) > 1 else [""]
    rows = []
    for text in TEXTS:
        cells = [verdict for one in found if (verdict := one.get(text))]
        if cells:
            limit = f"{cells[0].limit:g}" if cells[0].limit else ""
            rows.append([text, limit, *(_outcome(one.get(text)) for one in found)])
    return _table(["nnlite against", "at most", *names], rows)


def _outcome(verdict: Verdict | None) -> str:
    """Return a verdict in words."""
    if verdict is None:
        return ""
    words = "**reached**" if verdict.limit else "told"
    if verdict.missed:
        words = f"missed in {verdict.missed} of {verdict.cases}"
    value = told(verdict.worst.value, verdict.worst.spread)
    return f"{words}: {value}, {verdict.worst.where}"


def _time(seconds: float) -> str:
    """Return a time to three digits.

    >>> _time(0.0000567), _time(0.01234), _time(1.5)
    ('56.7 us', '12.3 ms', '1.50 s')
    """
    for unit, scale in (("us", 1e-6), ("ms", 1e-3)):
        if seconds < 1000 * scale:
            return f"{seconds / scale:.3g} {unit}" if seconds < 999 * scale else f"1.00 {unit}"
    return f"{seconds:.2f} s"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

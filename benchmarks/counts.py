"""Counts of what one training step asks of NumPy: exact, and the same on every machine.

    python -m benchmarks.counts tiny

nnlite is imported with its sources rewritten, so that each of its calls, operators and subscripts
passes through this module. A NumPy call is a call that a line of nnlite makes of a function, method
or ufunc of NumPy, or an operator or subscript on an array (no profiler of Python sees these).
An allocation is an array with memory of its own that comes out of one. So calls that NumPy makes
within itself do not count. In a process of its own, it prints the counts of all optimizers as JSON.
"""

from __future__ import annotations

import ast
import importlib.abc
import importlib.machinery
import json
import operator
import sys
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from types import CodeType, ModuleType
from typing import Any

import numpy as np

from benchmarks.contenders import CONTENDERS, Operation
from benchmarks.workloads import OPTIMIZERS, WORKLOADS

__all__ = ["CountedNumPy", "count"]

BATCH = 8  # at most, in nets of other layers than Dense: their arrays are large
STEPS = 4  # an epoch: a count a step does not hang on how many there are
HISTORY = 16_384  # bytes that two epochs may leave behind: losses, and what Python keeps of its own
_OPERATORS = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "truediv",
    ast.FloorDiv: "floordiv",
    ast.Mod: "mod",
    ast.Pow: "pow",
    ast.MatMult: "matmul",
    ast.LShift: "lshift",
    ast.RShift: "rshift",
    ast.BitOr: "or_",
    ast.BitAnd: "and_",
    ast.BitXor: "xor",
    ast.USub: "neg",
    ast.Invert: "invert",
    ast.Lt: "lt",
    ast.LtE: "le",
    ast.Gt: "gt",
    ast.GtE: "ge",
    ast.Eq: "eq",
    ast.NotEq: "ne",
}


class Tally:
    """The counts so far."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self.calls = self.arrays = self.bytes = 0

    def call(self, function: Any, /, *values: Any, **options: Any) -> Any:
        """Call, and count it where it is a call of NumPy."""
        result = function(*values, **options)
        if _is_numpy(function):
            self.note(result, (*values, *options.values()))
        return result

    def operate(self, function: Any, /, *values: Any) -> Any:
        """Apply an operator, and count it where an array is among its operands."""
        result = function(*values)
        if any(isinstance(value, np.ndarray) for value in values):
            self.note(result, values)
        return result

    def note(self, result: Any, values: Sequence[Any]) -> None:
        """Count one NumPy call, and what it allocated."""
        self.calls += 1
        owns = isinstance(result, np.ndarray) and result.flags.owndata
        if owns and not any(result is value for value in values):
            self.arrays += 1
            self.bytes += result.nbytes


TALLY = Tally()


def _is_numpy(function: Any) -> bool:
    if isinstance(function, np.ufunc):
        return True
    owner = getattr(function, "__self__", None)
    if isinstance(owner, (np.ndarray, np.generic, np.ufunc, np.random.Generator)):
        return True
    if isinstance(function, type):
        return issubclass(function, (np.ndarray, np.generic))
    return str(getattr(function, "__module__", "")).partition(".")[0] == "numpy"


class _Rewriter(ast.NodeTransformer):
    """Sends calls, operators and subscripts through `TALLY`."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Rewrite f(x), but for super() and locals(), which look at the frame that calls them."""
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id in ("super", "locals"):
            return node
        through = ast.Attribute(ast.Name("__tally__", ast.Load()), "call", ast.Load())
        return ast.Call(through, [node.func, *node.args], node.keywords)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """Rewrite a + b."""
        self.generic_visit(node)
        return _operate(_OPERATORS[type(node.op)], node.left, node.right)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        """Rewrite -a."""
        self.generic_visit(node)
        name = _OPERATORS.get(type(node.op))
        return _operate(name, node.operand) if name else node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        """Rewrite a < b; a chain of comparisons is none of arrays."""
        self.generic_visit(node)
        name = _OPERATORS.get(type(node.ops[0]))
        if len(node.ops) > 1 or name is None:
            return node
        return _operate(name, node.left, node.comparators[0])

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """Rewrite a[i] where it is read."""
        self.generic_visit(node)
        if not isinstance(node.ctx, ast.Load):
            return node
        return _operate("getitem", node.value, node.slice)

    def visit_Slice(self, node: ast.Slice) -> ast.AST:
        """Rewrite i:j as slice(i, j), which may stand anywhere."""
        self.generic_visit(node)
        parts = (node.lower, node.upper, node.step)
        values = [part or ast.Constant(None) for part in parts]
        return ast.Call(ast.Name("slice", ast.Load()), values, [])

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        """Rewrite a += b as a = iadd(a, b)."""
        before = self.visit(ast.parse(ast.unparse(node.target), mode="eval").body)
        name = "i" + _OPERATORS[type(node.op)].rstrip("_")
        changed = _operate(name, before, self.visit(node.value))
        return ast.Assign([self.visit(node.target)], changed)


def _operate(name: str, *values: ast.expr) -> ast.expr:
    function = ast.Attribute(ast.Name("__operators__", ast.Load()), name, ast.Load())
    through = ast.Attribute(ast.Name("__tally__", ast.Load()), "operate", ast.Load())
    return ast.Call(through, [function, *values], [])


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads a module of nnlite with its source rewritten; no compiled file is read or written."""

    def get_code(self, fullname: str) -> CodeType:
        """Return the rewritten module's code."""
        tree = _Rewriter().visit(ast.parse(self.get_data(self.path)))
        return compile(ast.fix_missing_locations(tree), self.path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module, where the names that the rewriting uses are known."""
        vars(module).update(__tally__=TALLY, __operators__=operator)
        super().exec_module(module)


class CountedNumPy(importlib.abc.MetaPathFinder):
    """Put first on ``sys.meta_path``, has every import of nnlite counted."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec that another finder has, with a loader of ours."""
        if name.partition(".")[0] != "nnlite":
            return None
        others = [finder for finder in sys.meta_path if finder is not self]
        for finder in others:
            spec = finder.find_spec(name, path, target)
            if spec is not None and spec.origin is not None:
                spec.loader = _Loader(name, spec.origin)
                return spec
        return None


def count(operation: Operation, steps: int) -> dict[str, float]:
    """Return the counts a step: what two more epochs add, in a model that has been trained.

    ``growth`` is by how many bytes these two raise the peak of memory, less what a history may.
    """
    operation(1)
    totals, peaks = [], []
    for epochs in (1, 3):
        TALLY.reset()
        tracemalloc.reset_peak()
        operation(epochs)
        totals.append((TALLY.calls, TALLY.arrays, TALLY.bytes))
        peaks.append(tracemalloc.get_traced_memory()[1])
    added = [(three - one) / (2 * steps) for one, three in zip(*totals, strict=True)]
    growth = max(0, peaks[1] - peaks[0] - HISTORY)
    return dict(zip(("calls", "arrays", "bytes", "growth"), [*added, growth], strict=True))


def main() -> None:
    """Print the counts of the workloads named on the command line."""
    sys.meta_path.insert(0, CountedNumPy())
    import nnlite

    counts = {}
    tracemalloc.start()
    for name in sys.argv[1:]:
        workload = WORKLOADS[name]
        workload = replace(workload, steps=min(STEPS, workload.steps))
        if workload.layers:
            workload = replace(workload, batch=min(BATCH, workload.batch))
        for optimizer in OPTIMIZERS:
            nnlite.set_random_seed(1)  # an embedding's arrays depend on the words of a batch
            prepared = CONTENDERS["nnlite"].prepare(workload, optimizer)
            for operation, (steps, _) in workload.operations(optimizer).items():
                if operation not in ("fit_with_bar", "predict_many"):
                    key = f"{name}, {OPTIMIZERS[optimizer]}, {operation}"
                    counts[key] = count(prepared[operation], steps)
    print(json.dumps(counts))


if __name__ == "__main__":
    main()

"""Keras's names for training on several processes."""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from nnlite.backend.blas import limit_threads
from nnlite.distribution.processes import Processes, current, set_current
from nnlite.utils import progress
from nnlite.utils.validation import check_positive

_distribution: DataParallel | None = None
_warned = False


def _comm() -> Any:
    """Import mpi4py, and return the communicator of all processes.

    Raises:
        ImportError: If mpi4py is not installed.
    """
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise ImportError(
            "Training on several processes needs mpi4py and an MPI: pip install nnlite[mpi]"
        ) from error
    return MPI.COMM_WORLD


def started() -> int:
    """Return the number of processes that ``mpiexec`` started, or 1."""
    for name in ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE"):
        if os.environ.get(name, "").isdigit():
            return int(os.environ[name])
    return 1


def initialize(
    job_addresses: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
) -> None:
    """Start MPI. From then on, an uncaught error ends all processes.

    Args:
        job_addresses: Accepted for compatibility with Keras and ignored.
        num_processes: The number of processes; checked if given.
        process_id: The number of this one; checked if given.

    Raises:
        ImportError: If mpi4py is not installed.
        ValueError: If a given number is wrong.
    """
    comm = _comm()
    for name, given, found in (
        ("num_processes", num_processes, comm.Get_size()),
        ("process_id", process_id, comm.Get_rank()),
    ):
        if given is not None and given != found:
            raise ValueError(f"mpiexec says {name}={found}. Received: {name}={given!r}")
    if comm.Get_size() > 1 and not isinstance(sys.excepthook, _EndAll):
        sys.excepthook = _EndAll(comm)


class _EndAll:
    """Shows an uncaught error and ends all processes, which would wait for this one."""

    def __init__(self, comm: Any) -> None:
        self._comm = comm
        self._show = sys.excepthook

    def __call__(self, kind: Any, error: Any, trace: Any) -> None:
        rank, size = self._comm.Get_rank(), self._comm.Get_size()
        if rank:  # if all fail, process 0 reports it and ends the others in this time
            time.sleep(0.5)
        print(f"Process {rank} of {size} ends all processes because of:", file=sys.stderr)
        self._show(kind, error, trace)
        sys.stderr.flush()
        time.sleep(0.2)  # until mpiexec has printed it
        self._comm.Abort(130 if issubclass(kind, KeyboardInterrupt) else 1)


def list_devices(device_type: str | None = None) -> list[str]:
    """Return a name for each process; a device is a process here.

    Args:
        device_type: ``"cpu"``, the default and the only one.

    >>> list_devices()
    ['cpu:0']
    """
    if device_type not in (None, "cpu"):
        return []
    size = _comm().Get_size() if started() > 1 else 1
    return [f"cpu:{number}" for number in range(size)]


class DataParallel:
    """Data parallelism: each process has the whole model and its share of every batch.

    Args:
        device_mesh: Not supported; None.
        devices: The processes, as `list_devices` returns them; all or None.
        auto_shard_dataset: True; every process gets the same data and uses its share.
        timeout: The seconds that a process waits for the others before an error ends all.

    Raises:
        ImportError: If mpi4py is not installed.
        ValueError: If an argument has another value.
    """

    def __init__(
        self,
        device_mesh: Any = None,
        devices: Sequence[str] | None = None,
        auto_shard_dataset: bool = True,
        *,
        timeout: float = 600.0,
    ) -> None:
        if device_mesh is not None:
            raise ValueError(
                "device_mesh must be None: the processes are those that mpiexec started. "
                f"Received: device_mesh={device_mesh!r}"
            )
        if auto_shard_dataset is not True:
            raise ValueError(
                "auto_shard_dataset must be True: give every process the same data; it "
                f"uses its share. Received: auto_shard_dataset={auto_shard_dataset!r}"
            )
        if devices is not None and list(devices) != list_devices():
            raise ValueError(
                f"devices must be all of them, {list_devices()}. Received: devices={devices!r}"
            )
        initialize()
        self.auto_shard_dataset = True
        self._processes = Processes(_comm(), check_positive("timeout", timeout))

    @property
    def num_model_replicas(self) -> int:
        """The number of processes."""
        return self._processes.size

    @property
    def num_process(self) -> int:
        """The number of processes, by Keras's name."""
        return self._processes.size

    @property
    def process_id(self) -> int:
        """The number of this process."""
        return self._processes.rank

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Set the distribution inside of a ``with`` block."""
        before = distribution()
        set_distribution(self)
        try:
            yield
        finally:
            set_distribution(before)

    def __repr__(self) -> str:
        return f"<DataParallel, process {self.process_id} of {self.num_model_replicas}>"


def distribution() -> DataParallel | None:
    """Return the argument of `set_distribution`, None at first."""
    return _distribution


def set_distribution(value: DataParallel | None) -> None:
    """Let this thread train, evaluate and predict together with the other processes.

    BLAS then uses the cores of the machine divided by its processes as threads, unless
    ``OPENBLAS_NUM_THREADS`` is set. Only process 0 prints, first that number, and shows progress.

    Args:
        value: The distribution, or None to train alone again.

    Raises:
        TypeError: If it is neither.
    """
    global _distribution
    if value is not None and not isinstance(value, DataParallel):
        raise TypeError(f"value must be a DataParallel or None. Received: {value!r}")
    group = None if value is None else value._processes
    if group is not None and group.size > 1 and current() is not group:
        from mpi4py import MPI

        local = group.comm.Split_type(MPI.COMM_TYPE_SHARED).Get_size()
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        threads = limit_threads(max(1, (cores or 1) // local))
        progress.silence(group.rank > 0)
        if threads:
            progress.say(
                f"{group.size} processes, {local} of them on this machine of {cores} cores: "
                f"BLAS uses {threads} thread{'s' * (threads > 1)} in each."
            )
    _distribution = value
    set_current(group)


def warn_if_apart() -> None:
    """Warn once if ``mpiexec`` started several processes but each trains alone."""
    global _warned
    if not _warned and _distribution is None and started() > 1:
        _warned = True
        warnings.warn(
            f"mpiexec started {started()} processes, but each of them trains its own model. "
            "To train one model together, call "
            "nnlite.distribution.set_distribution(nnlite.distribution.DataParallel()) first.",
            stacklevel=4,
        )

"""Training on several processes, on one machine or many, by MPI, with Keras's names.

``mpiexec -n 4 python -m mpi4py train.py`` starts a script four times. With these two lines, the
four processes train one model:

    nnlite.distribution.initialize()
    nnlite.distribution.set_distribution(nnlite.distribution.DataParallel())

It requires the extra ``[mpi]``: ``pip install nnlite[mpi]``.
"""

from nnlite.distribution.data_parallel import (
    DataParallel,
    distribution,
    initialize,
    list_devices,
    set_distribution,
)

__all__ = ["DataParallel", "distribution", "initialize", "list_devices", "set_distribution"]

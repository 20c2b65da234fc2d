"""Tests of training on several processes: they run where mpi4py is installed (extra ``[mpi]``)."""

import importlib.util

collect_ignore = ["cases.py", "faults.py", "resume.py"]  # what mpiexec starts
collect_ignore_glob = []
if importlib.util.find_spec("mpi4py") is None:
    collect_ignore_glob.append("test_*.py")

"""The command line, as ``python -m nnlite``."""

from nnlite.cli import main

if __name__ == "__main__":
    raise SystemExit(main())

"""Small real data sets that ship with the package, with a fixed split.

The README.md of this directory has sources, authors, licence and the recipe of the files.
"""

from nnlite.datasets import breast_cancer, digits

__all__ = ["breast_cancer", "digits"]

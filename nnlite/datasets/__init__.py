"""Small real data sets that ship with the package: no download, and a split that never moves.

Sources, authors, licence and the recipe of the files stand in the README.md of this directory.
"""

from nnlite.datasets import breast_cancer, digits

__all__ = ["breast_cancer", "digits"]

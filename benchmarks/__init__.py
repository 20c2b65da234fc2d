"""How quick nnlite is, beside what a user would pick instead: run ``python -m benchmarks``."""

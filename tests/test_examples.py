"""The scripts of docs/examples reach what their first lines say."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from samples import part

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"

#: What each script prints, the limit of the number, and whether it is the least or the most.
REACHED = {
    "adding.py": [(r"GRU: mean squared error ([\d.]+)", 0.01, "most")],
    "characters.py": [(r"Epoch 4/4 .* accuracy: ([\d.]+)", 0.6, "least")],
    "digits.py": [(r"test accuracy: ([\d.]+)%", 96, "least")],
    "digits_convnet.py": [(r"test accuracy: ([\d.]+)%", 98.5, "least")],
    "forecast.py": [(r"LSTM: .* error ([\d.]+)", 0.15, "most")],
    "recommender.py": [(r"two towers: .* error ([\d.]+)", 0.08, "most")],
    "sorting_transformer.py": [(r"sorted: ([\d.]+)%", 99, "least")],
    "table.py": [(r"mean error \$(\d+);", 2500, "most"), (r"a new car: \$(\d+)", 5000, "least")],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", part(sorted(REACHED)))
def test_an_example_reaches_what_it_says(name):
    run = subprocess.run(
        [sys.executable, EXAMPLES / name], capture_output=True, text=True, check=True
    )
    for pattern, limit, bound in REACHED[name]:
        found = float(re.search(pattern, run.stdout)[1])
        assert found >= limit if bound == "least" else found <= limit

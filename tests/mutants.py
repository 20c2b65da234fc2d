"""Break each formula of the package once, and see the tests fail.

A mutant is a copy of the package with one change, on which the tests of gradients and values run.
One that no test fails on has survived: the tests are too weak.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from mutations import MUTANTS

ROOT = Path(__file__).parent.parent
NO_TESTS = 5  # pytest's exit code where nothing was selected

# The tests that each part's mutants are put before; a survivor has passed them all.
TESTS = {
    "backend/blas.py": "backend/test_blas.py",
    "backend/two_threads.py": "backend/test_two_threads.py",
    "backend/reuse.py": "backend/test_reuse.py",
    "backend/resampling.py": "layers/test_layers_attention.py layers/test_layers_images.py",
    "callbacks": (
        "callbacks/test_callbacks.py callbacks/test_callbacks_files.py "
        "callbacks/test_callbacks_of_users.py callbacks/test_callbacks_rates.py"
    ),
    "callbacks/tensorboard.py": "callbacks/test_tensorboard.py",
    "cli.py": "test_cli.py",
    "distribution": "test_distribution.py",
    "layers": (
        "layers/test_layers_attention.py "
        "layers/test_normalization.py layers/test_layers_normalization.py "
        "layers/test_layers_prelu.py layers/test_layers_regularization.py "
        "layers/test_layers_reshaping.py layers/test_layers_scaling.py "
        "gradients/test_layers.py gradients/test_contract.py "
        "gradients/test_activations.py gradients/test_models.py"
    ),
    "layers/random_layer.py": "models/test_model_seed.py",
    "losses": (
        "losses/test_losses.py losses/test_loss_functions.py training/test_compile.py "
        "layers/test_user_code.py gradients/test_losses.py gradients/test_models.py"
    ),
    "metrics": (
        "metrics/test_metrics_values.py metrics/test_metrics.py "
        "metrics/test_metrics_counts.py metrics/test_metrics_own.py "
        "training/test_compile.py training/test_masks.py"
    ),
    "ops": "ops/test_ops.py",
    "optimizers": (
        "optimizers/test_optimizers.py optimizers/test_optimizer_state.py "
        "optimizers/test_optimizer_steps.py optimizers/test_optimizer_overrides.py "
        "optimizers/test_schedules.py backend/test_two_threads.py"
    ),
    "random.py": "models/test_model_seed.py",
    "regularizers.py": "test_regularizers.py gradients/test_models.py",
    "saving": (
        "saving/test_old_configs.py saving/test_layouts.py saving/test_old_training.py "
        "saving/test_writing.py saving/test_own_layers.py saving/test_archive.py "
        "saving/test_hostile_models.py saving/test_bombs.py"
    ),
    "serialization/registry.py": (
        "saving/test_bombs.py serialization/test_serialization.py utils/test_lazy.py"
    ),
    "serialization/objects.py": (
        "serialization/test_serialization.py saving/test_bombs.py saving/test_published_holes.py"
    ),
    "models/cloning.py": "saving/test_own_layers.py",
    "models/functional.py": (
        "saving/test_functional_files.py saving/test_old_configs.py saving/test_hostile_models.py "
        "saving/test_masks_in_files.py"
    ),
    "training/heads.py": "training/test_heads.py",
    "data/arrays.py": "data/test_data_several.py",
    "utils/validation.py": "test_wrong_arguments.py",
    "visualize": (
        "visualize/test_film.py visualize/test_gradients.py visualize/test_plot_model.py"
    ),
    "utils/markup.py": "visualize/test_gradients.py visualize/test_plot_model.py",
    "utils/structures.py": "data/test_data_several.py",
    "training/compiled_loss.py": "saving/test_old_training.py",
    "execution": (
        "execution/test_graph.py execution/test_halves.py execution/test_inference.py "
        "execution/test_masks_of_inputs.py "
        "gradients/test_graphs.py gradients/test_models.py layers/test_user_code.py "
        "layers/test_layers_tables.py"
    ),
    "execution/reordering.py": "execution/test_reordering.py",
    "execution/halves.py": "execution/test_halves.py",
    "saving/mask_operations.py": "saving/test_masks_in_files.py",
    "models/model.py": "models/test_functional.py layers/test_user_code.py",
    "training/objective.py": (
        "gradients/test_models.py layers/test_user_code.py execution/test_graph.py"
    ),
    "tracing": "test_trace.py",
    "utils/lazy.py": "utils/test_lazy.py",
    "utils/overrides.py": "layers/test_user_code.py",
    "utils/user_code.py": "layers/test_user_code.py",
    "layers/user_code.py": "layers/test_user_code.py",
    "training/trainer.py": "layers/test_user_code.py",
    "training/train_step.py": "layers/test_user_code.py",
    "data/data_utils.py": "data/test_utils.py",
    "backend/variables.py": "saving/test_hostile_models.py",
}
TESTS |= dict.fromkeys(
    ["layers/core/embedding.py", "layers/core/masking.py"], "layers/test_layers_embedding.py"
)
TESTS |= dict.fromkeys(
    [
        "backend/convolution.py",
        "layers/convolution/base.py",
        "layers/convolution/conv.py",
        "layers/pooling/global_pooling.py",
        "layers/pooling/pooling.py",
        "layers/reshaping/margins.py",
        "layers/reshaping/up_sampling.py",
    ],
    "layers/test_layers_images.py",
)
TESTS |= dict.fromkeys(
    [
        "layers/recurrent/cells.py",
        "layers/recurrent/rnn.py",
        "layers/recurrent/wrappers.py",
        "training/nan_diagnosis.py",
    ],
    "layers/test_layers_recurrent.py",
)
TESTS |= {
    f"layers/preprocessing/{name}.py": "layers/test_layers_tables.py"
    for name in ("encoding", "hashing", "lookup", "text_vectorization")
}
TESTS |= {
    f"layers/merging/{name}.py": "layers/test_layers_merging.py"
    for name in ("concatenate", "dot", "elementwise", "merge")
}
TESTS["layers/activations/base.py"] = f"layers/test_activations.py {TESTS['layers']}"
TESTS["layers/activations/rectified.py"] = TESTS["layers/activations/base.py"]
TESTS["backend/numerics.py"] = f"{TESTS['layers']} {TESTS['losses']}"
TESTS |= {
    f"saving/onnx/{name}.py": "saving/test_onnx_files.py"
    for name in ("builder", "exporting", "protobuf", "recurrent", "tables")
}
TESTS["utils/protobuf.py"] = "saving/test_onnx_files.py"
TESTS["utils"] = TESTS["layers/layer.py"] = TESTS["saving"]

if getattr(find_spec("sklearn"), "origin", None) is not None:
    TESTS["sklearn"] = "sklearn/test_sklearn_agrees.py sklearn/test_sklearn_estimators.py"
    TESTS["wrappers.py"] = "sklearn/test_wrappers.py"


def run(package: Path, tests: Iterable[str], *options: str) -> subprocess.CompletedProcess[str]:
    """Run the tests on the package in ``package``, up to the first that fails."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=line", "-p", "no:cacheprovider"]
    command += options
    # Nothing of what the run that this is part of was told: its plug-ins, its path, its sample.
    told = ("PYTEST", "PYTHONPATH", "NNLITE")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(told)}
    return subprocess.run(
        [*command, "--hypothesis-profile=first failure", *(f"tests/{test}" for test in tests)],
        cwd=package,
        env={**environment, "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def outcome(file: str | None, old: str = "", new: str = "") -> str:
    """Return "killed by" a test, "SURVIVED", or how the tests broke."""
    done = None
    with tempfile.TemporaryDirectory() as directory:
        package = Path(directory)
        for part in ("nnlite", "tests", "pyproject.toml"):
            source = ROOT / part
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, package / part)
        tests = dict.fromkeys(" ".join(TESTS.values()).split())
        if file is not None:
            target = package / "nnlite" / file
            text = target.read_text()
            target.write_text(text.replace(old, new))
            tests = dict.fromkeys((TESTS.get(file) or TESTS[file.split("/")[0]]).split())
            # Most fall to the tests of the class that they are in, which are soon run.
            within = re.findall(r"^class (\w+)", text[: text.index(old)], re.MULTILINE)
            done = run(package, tests, "-k", within[-1]) if within else None
        if done is None or done.returncode in (0, NO_TESTS):
            done = run(package, tests)
    if done.returncode == 0:
        return "SURVIVED"
    killers = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if done.returncode not in (1, 2) or not killers:
        return f"BROKEN: {done.stdout[-300:]}{done.stderr[-300:]}"
    return f"killed by {killers[0].split(' - ')[0].split('::', 1)[-1]}"


def stale() -> list[str]:
    """Return the mutants that the package's text has moved away from."""
    return [
        f"{file}: {old!r} stands there {count} times"
        for file, changes in MUTANTS.items()
        for old, _ in changes
        if (count := (ROOT / "nnlite" / file).read_text().count(old)) != 1
    ]

"""Files that Keras 3.15.1 wrote (see tests/fixtures/write.py) predict and train on as there."""

from pathlib import Path

import numpy as np
import pytest

from nnlite import losses, optimizers
from nnlite.models import load_model

DATA = Path(__file__).parent.parent / "fixtures"
EXPECTED = np.load(DATA / "expected.npz")
X, Y = EXPECTED["x"], EXPECTED["y"]
NAMES = ["sequential", "functional"]


def assert_predicts(model, what):
    np.testing.assert_allclose(model.predict(X, verbose=0), EXPECTED[what], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["keras", "h5"])
@pytest.mark.parametrize("name", NAMES)
def test_whole_models(name, kind):
    model = load_model(DATA / f"{name}.{kind}")
    assert_predicts(model, f"{name}_predictions")
    assert model.optimizer.iterations == 3
    for _ in range(5):
        loss = model.train_on_batch(X, Y)
    assert np.isfinite(loss).all()
    assert_predicts(model, f"{name}_after_5_steps")


@pytest.mark.parametrize("name", NAMES)
def test_weights_alone(name):
    model = load_model(DATA / f"{name}.keras")
    for weight in model.weights:
        weight.value[...] = 0
    model.load_weights(DATA / f"{name}.weights.h5")
    assert_predicts(model, f"{name}_predictions")


def test_the_settings_of_training():
    sequential, functional = (load_model(DATA / f"{name}.keras") for name in NAMES)
    assert repr(sequential.loss) == repr(losses.CategoricalCrossentropy(label_smoothing=0.1))
    assert sequential.optimizer.amsgrad
    assert sequential.optimizer.clipnorm == 1.0
    rate = optimizers.schedules.CosineDecay(0.05, 20)(3)
    assert sequential.optimizer.learning_rate == pytest.approx(rate)
    found = sequential.evaluate(X, Y, verbose=0, return_dict=True)
    assert list(found) == ["loss", "accuracy", "auc"]
    assert isinstance(functional.loss, losses.Huber)
    assert functional.optimizer.momentum == 0.5


def test_the_layers():
    model = load_model(DATA / "sequential.keras")
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds == ["Normalization", "Dense", "Sequential", "PReLU", "Dropout", "Dense"]
    assert model.layers[1].kernel_regularizer.l2 == pytest.approx(0.01)

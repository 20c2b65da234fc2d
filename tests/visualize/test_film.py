"""A film of training: its frames are the model's predictions, and its page is small and whole."""

import base64
import json
import re
import zlib

import numpy as np
import pytest

import nnlite
from nnlite import Input, Model, Sequential, optimizers, visualize
from nnlite.layers import Dense

RNG = np.random.default_rng(5)
X = RNG.normal(size=(60, 2))
Y = (X[:, 0] > 0).astype(float)
CLASSES = RNG.integers(0, 3, 60)


def data_of(page):
    return json.loads(re.search(r"^const D=(.*);$", page, re.MULTILINE)[1])


def images_of(data):
    """Return the frames as the page's script decodes them."""
    size = data["size"]
    changes = np.frombuffer(zlib.decompress(base64.b64decode(data["images"])), np.uint8)
    return np.cumsum(changes.reshape(-1, size, size), axis=0, dtype=np.uint8)


def filmed(model, y, epochs=3, **options):
    film = visualize.boundary(X, y, None, resolution=8, **options)
    model.fit(X, y, epochs=epochs, verbose=0, callbacks=[film])
    return film


def grid_of(data):
    low, high = data["range"]
    steps = [np.linspace(a, b, 17)[1::2] for a, b in zip(low, high, strict=True)]
    return np.stack(np.meshgrid(steps[0], steps[1][::-1]), -1).reshape(-1, 2)


def test_the_last_frame_is_what_the_model_predicts_on_the_plane():
    model = Sequential([Dense(8, activation="tanh"), Dense(1, activation="sigmoid")])
    data = data_of(filmed(model, Y).html())
    expected = 63 * model.predict(grid_of(data))[:, 0]
    np.testing.assert_allclose(images_of(data)[-1].ravel(), expected, atol=1)
    assert data["epochs"] == [0, 1, 2, 3]
    assert data["ends"] == [0, 1]


def test_a_loss_from_logits_shows_probabilities():
    model = Sequential([Dense(1)])
    model.compile("sgd", nnlite.losses.BinaryCrossentropy(from_logits=True))
    data = data_of(filmed(model, Y).html())
    expected = 63 / (1 + np.exp(-model.predict(grid_of(data))[:, 0]))
    np.testing.assert_allclose(images_of(data)[-1].ravel(), expected, atol=1)


def test_numbers_are_shown_from_the_least_to_the_largest_target():
    model = Sequential([Dense(1)])
    y = np.linspace(-4, 6, 60)
    data = data_of(filmed(model, y).html())
    expected = 63 * np.clip((model.predict(grid_of(data))[:, 0] + 4) / 10, 0, 1)
    np.testing.assert_allclose(images_of(data)[-1].ravel(), expected, atol=1)
    assert data["ends"] == [-4, 6]


@pytest.mark.parametrize("logits", [False, True])
@pytest.mark.parametrize("y", [CLASSES, np.eye(3)[CLASSES]], ids=["indices", "rows"])
def test_several_outputs_show_the_likeliest_class_and_how_likely_it_is(y, logits):
    model = Sequential([Dense(3, activation=None if logits else "softmax")])
    sparse = "Sparse" if y.ndim == 1 else ""
    loss = getattr(nnlite.losses, f"{sparse}CategoricalCrossentropy")(from_logits=logits)
    model.compile(optimizers.SGD(0.1), loss)
    data = data_of(filmed(model, y).html())
    output = model.predict(grid_of(data)).astype(float)
    if logits:
        output = np.exp(output) / np.exp(output).sum(1, keepdims=True)
    image = images_of(data)[-1].ravel()
    near = np.sort(output)[:, -1] - np.sort(output)[:, -2] < 0.01  # may go either way
    np.testing.assert_array_equal((image // 21)[~near], output.argmax(1)[~near])
    np.testing.assert_allclose(image % 21, 20 * (output.max(1) - 1 / 3) * 1.5, atol=1)


def test_a_long_training_keeps_evenly_spaced_frames():
    film = filmed(Sequential([Dense(1)]), Y, epochs=21, frames=6)
    assert film.epochs == [0, 4, 8, 12, 16, 21]
    assert filmed(Sequential([Dense(1)]), Y, epochs=7, frequency=3).epochs == [0, 3, 6, 7]


def test_forty_frames_take_tens_of_kilobytes(tmp_path):
    model = Sequential([Dense(16, activation="tanh"), Dense(1, activation="sigmoid")])
    model.compile(optimizers.Adam(0.02))
    film = visualize.boundary(X, X[:, 0] * X[:, 1] > 0, tmp_path / "film.html")
    model.fit(X, X[:, 0] * X[:, 1] > 0, epochs=39, verbose=0, callbacks=[film])
    assert len(film.epochs) == 40
    assert (tmp_path / "film.html").stat().st_size < 60_000
    assert [path.name for path in tmp_path.iterdir()] == ["film.html"]


def test_the_page_loads_nothing_and_escapes_names():
    class Frame:
        columns = ("</script>", "b")
        shape = (60, 2)

        def __array__(self, dtype=None, copy=None):
            return X

    film = visualize.boundary(Frame(), Y, None)
    model = Sequential([Dense(1)])
    model.fit(X, Y, verbose=0, callbacks=film)
    page = film.html()
    assert not re.search(r"https?:|src=|@import|fetch\(", page.replace("default-src", ""))
    assert page.count("</script>") == 1
    assert data_of(page)["names"] == ["</script>", "b"]
    shown = film._repr_html_()
    assert shown.startswith('<iframe srcdoc="&lt;!doctype html&gt;')
    assert 'sandbox="allow-scripts"' in shown


def test_a_film_changes_nothing_in_the_training():
    losses = []
    for callbacks in ([], [visualize.boundary(X, Y, None)]):
        nnlite.set_random_seed(3)
        model = Sequential([Dense(4, activation="tanh"), Dense(1)])
        losses.append(model.fit(X, Y, epochs=3, verbose=0, callbacks=callbacks).history["loss"])
    assert losses[0] == losses[1]


def test_each_fit_begins_a_new_film():
    film, model = visualize.boundary(X, Y, None, resolution=4), Sequential([Dense(1)])
    assert film._repr_html_() == "No frame yet"
    with pytest.raises(ValueError, match="no frame yet"):
        film.html()
    for _ in range(2):
        model.fit(X, Y, epochs=2, verbose=0, callbacks=film)
        assert film.epochs == [0, 1, 2]


BAD = [
    ({"x": np.ones((60, 3))}, ValueError, r"x must have two features.*Received: shape \(60, 3\)"),
    ({"x": np.ones(60)}, ValueError, "x must have an axis of samples"),
    ({"x": X * np.nan}, ValueError, "x must be finite"),
    ({"x": X.astype(str)}, TypeError, "x must hold real numbers"),
    ({"y": Y[:-1]}, ValueError, r"one target for each of the 60 samples.*Received: shape \(59,\)"),
    ({"y": np.ones((60, 2))}, ValueError, "rows of probabilities that sum to 1"),
    ({"path": 5}, TypeError, "path must be a path or None. Received: path=5"),
    ({"path": "film.gif"}, ValueError, "path must end in .html.*Received: 'film.gif'"),
    ({"path": "nowhere/film.html"}, FileNotFoundError, "no folder 'nowhere'. Create it first"),
    ({"frequency": 0}, ValueError, "frequency must be at least 1"),
    ({"resolution": 1}, ValueError, "resolution must be at least 2"),
    ({"frames": 1}, ValueError, "frames must be at least 2"),
]


@pytest.mark.parametrize(("options", "error", "message"), BAD)
def test_wrong_arguments_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        visualize.boundary(**{"x": X, "y": Y} | options)


def two_ends():
    x = Input((2,))
    return Model(x, [Dense(1)(x), Dense(1)(x)])


@pytest.mark.parametrize(
    ("make", "y", "message"),
    [
        (lambda: Sequential([Dense(2)]), CLASSES, "has 2 outputs: y must hold classes from 0 to 1"),
        (lambda: Sequential([Dense(1)]), np.eye(3)[CLASSES], "1 output:.*Received: y rows of 3"),
        (lambda: Sequential([Input((3,)), Dense(1)]), Y, r"one input of shape \(samples, 2\)"),
        (two_ends, Y, r"one output of.*outputs \[\(None, 1\), \(None, 1\)\]"),
        (lambda: Sequential([Dense(65)]), CLASSES, "up to 64 classes. Received: 65 outputs"),
    ],
)
def test_models_that_cannot_be_drawn_are_refused_before_the_first_step(make, y, message):
    model = make()
    model.build(None if model.built else (None, 2))
    before = model.get_weights()
    x = X if model.input_shape[-1] == 2 else np.ones((60, 3))
    targets = [Y, Y] if len(model.outputs) > 1 else np.zeros((60, model.output_shape[-1]))
    with pytest.raises(ValueError, match=message):
        model.fit(x, targets, verbose=0, callbacks=visualize.boundary(X, y, None))
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)

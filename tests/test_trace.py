"""The step that `nnlite.trace` opens is the one that training takes, and nothing is changed."""

import copy
import random
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from helpers import snapshot
from seed_numbers import (
    ACTIVATION_BACKWARD,
    COST,
    FORWARD,
    LINEAR_DA,
    LINEAR_DB,
    LINEAR_DW,
    MODEL_DA0,
    MODEL_DB1,
    MODEL_DW1,
    UPDATED_B1,
    UPDATED_B2,
    UPDATED_W1,
    UPDATED_W2,
    M,
    R,
    assert_prints,
    dense,
)

import nnlite
from nnlite import Input, Model, Sequential, set_random_seed, trace
from nnlite.layers import (
    GRU,
    LSTM,
    Activation,
    Add,
    BatchNormalization,
    Bidirectional,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GaussianNoise,
    Layer,
    Masking,
    MaxPooling2D,
    ReLU,
    Sigmoid,
)
from nnlite.losses import Loss
from nnlite.optimizers import SGD, Adam

X = np.random.default_rng(2).standard_normal((6, 4))
BITS = np.array([[0], [1], [1], [0], [1], [0]])
WEIGHTS = np.array([1.0, 2.0, 0.5, 1.0, 0.0, 3.0])


# ---- the article's numbers ----------------------------------------------------------------------


class Given(Loss):
    """A loss whose derivative by the output is the targets."""

    def call(self, y_true, y_pred):
        return np.sum(y_true * y_pred, axis=-1)

    def derivative(self, y_true, y_pred):
        return y_true.copy()


class Drawn(Layer):
    """Hands on numbers of its own, as the article draws its caches."""

    def __init__(self, numbers):
        super().__init__(dtype="float64")
        self.numbers = numbers

    def forward(self, x, training=False):
        return self.numbers.copy()

    def backward(self, gradient):
        return gradient


class Pushed(Layer):
    """Has the weights and the gradients that it is given."""

    def __init__(self, weights, gradients):
        super().__init__(dtype="float64")
        self.given, self.pushes = weights, gradients

    def build(self, input_shape):
        self.pushed = [
            self.add_weight(f"w{i}", w.shape, lambda shape, dtype=None, w=w: w)
            for i, w in enumerate(self.given)
        ]

    def forward(self, x, training=False):
        return x.copy()

    def backward(self, gradient):
        for variable, push in zip(self.pushed, self.pushes, strict=True):
            variable.gradient[...] = push
        return gradient


def opened(layers, x, dz, rate=0.1):
    model = Sequential([Input(x.shape[1:], dtype="float64"), *layers])
    model.compile(SGD(rate), Given())
    return trace(model, x, dz, check=False)


def test_the_article_s_forward_step_and_cost():
    r = R(1)
    X, W1, b1 = r.randn(4, 2), r.randn(3, 4), r.randn(3, 1)
    W2, b2 = r.randn(1, 3), r.randn(1, 1)
    step = trace(Sequential([dense(W1, b1, "relu"), dense(W2, b2, "sigmoid")]), X.T, [0, 1])
    assert_prints(step.nodes[1].output.T, FORWARD)
    AL = np.array([[0.8, 0.9, 0.4]])
    model = Sequential([Input((1,), dtype="float64"), Dense(1, "sigmoid", dtype="float64")])
    model.set_weights([np.ones((1, 1)), np.zeros(1)])
    step = trace(model, np.log(AL / (1 - AL)).T, np.ones((3, 1)))
    assert step.cost == pytest.approx(COST, rel=1e-15)


def test_the_article_s_linear_backward():
    r = R(1)
    dZ, A, W, b = r.randn(1, 2), r.randn(3, 2), r.randn(1, 3), r.randn(1, 1)
    step = opened([dense(W, b)], A.T, dZ.T)
    (node,) = step.nodes
    assert_prints(step.input_gradients[0].array.T * M, LINEAR_DA)
    assert_prints(node.gradients["kernel"].T, LINEAR_DW)
    assert_prints(node.gradients["bias"], LINEAR_DB)


@pytest.mark.parametrize(("activation", "dA_prev", "dW", "db"), ACTIVATION_BACKWARD)
def test_the_article_s_activation_backward(activation, dA_prev, dW, db):
    r = R(2)
    dA, A, W, b = r.randn(1, 2), r.randn(3, 2), r.randn(1, 3), r.randn(1, 1)
    Z = r.randn(1, 2)
    step = opened([dense(W, b), Drawn(Z.T), activation(dtype="float64")], A.T, dA.T)
    assert_prints(step.input_gradients[0].array.T * M, dA_prev)
    assert_prints(step.nodes[0].gradients["kernel"].T, dW)
    assert_prints(step.nodes[0].gradients["bias"], db)


def test_the_article_s_backward_step():
    r = R(3)
    AL = r.randn(1, 2)
    A1, W1, b1, Z1 = r.randn(4, 2), r.randn(3, 4), r.randn(3, 1), r.randn(3, 2)
    A2, W2, b2, Z2 = r.randn(3, 2), r.randn(1, 3), r.randn(1, 1), r.randn(1, 2)
    Y = np.array([[1, 0]])
    first = [dense(W1, b1), Drawn(Z1.T), ReLU(dtype="float64"), Drawn(A2.T)]
    second = [dense(W2, b2), Drawn(Z2.T), Sigmoid(dtype="float64")]
    step = opened([*first, *second], A1.T, -(Y / AL - (1 - Y) / (1 - AL)).T)
    assert_prints(step.nodes[0].gradients["kernel"].T, MODEL_DW1)
    assert_prints(step.nodes[0].gradients["bias"], MODEL_DB1)
    assert_prints(step.input_gradients[0].array.T * M, MODEL_DA0)


def test_the_article_s_update():
    r, q = R(2), R(3)
    shapes = [(3, 4), (3, 1), (1, 3), (1, 1)]
    weights, gradients = ([g.randn(*shape) for shape in shapes] for g in (r, q))
    step = opened([Pushed(weights, gradients)], np.ones((2, 1)), np.ones((2, 1)))
    W1, b1, W2, b2 = [line.array for line in step.updates.values()]
    assert_prints(W1, UPDATED_W1)
    assert_prints(b1.ravel(), UPDATED_B1)
    assert_prints(W2, UPDATED_W2)
    assert_prints(b2.ravel(), UPDATED_B2)
    assert [line.article for line in step.updates.values()][1] == "w1_1 - 0.1 dw1_1"


# ---- the step of fit ----------------------------------------------------------------------------


def plain():
    return Sequential([Input((4,)), Dense(3, "tanh"), Dense(1, "sigmoid")])


def penalized():
    return Sequential(
        [
            Input((4,)),
            Dense(3, "relu", kernel_regularizer="l2", activity_regularizer="l1"),
            Dense(1, "sigmoid", bias_regularizer="l1"),
        ]
    )


def random_and_normal():
    layers = [Dropout(0.3, seed=3), Dense(3), BatchNormalization(), Activation("relu")]
    return Sequential([Input((4,)), *layers, Dropout(0.2), Dense(1)])


def frozen():
    first = Dense(3, "tanh", trainable=False)
    return Sequential([Input((4,)), first, BatchNormalization(trainable=False), Dense(1)])


def shared():
    x = Input((4,))
    layer = Dense(4, "tanh", kernel_regularizer="l2")
    return Model(x, Dense(1)(Add()([layer(x), layer(layer(x))])))


def constrained():
    return Sequential([Input((4,)), Dense(3, "elu", kernel_constraint="unit_norm"), Dense(1)])


class Subclassed(Model):
    def __init__(self):
        super().__init__()
        self.first, self.second = Dense(3, "relu"), Dense(1)

    def call(self, x, training=False):
        return self.second(self.first(x))


MODELS = [plain, penalized, random_and_normal, frozen, shared, constrained, Subclassed]


def assert_step(model, x, y, weight=None):
    """Return the trace of a step: it changes nothing, and tells the bits of what training does."""
    before = snapshot(model)
    step = trace(model, x, y, weight)
    assert snapshot(model) == before
    for line in step.lines:
        assert not line.differs, (line.name, line.array, line.beside)
        assert line.beside is not None
    weights = [variable.numpy() for variable in model.trainable_variables]
    cost = model.train_on_batch(x, y, weight, return_dict=True)["loss"]
    assert cost == pytest.approx(step.cost, rel=1e-14)
    for variable, old, line in zip(
        model.trainable_variables, weights, step.updates.values(), strict=True
    ):
        np.testing.assert_array_equal(line.array, variable.value, strict=True)
        np.testing.assert_array_equal(line.beside, variable.value - old)
    return step


@pytest.mark.parametrize("build", MODELS)
@pytest.mark.parametrize("weight", [None, WEIGHTS])
def test_the_step_is_the_one_that_training_takes(build, weight):
    set_random_seed(1)
    model = build()
    model.compile(SGD(0.5), "binary_crossentropy" if build is plain else "mse", metrics=["mae"])
    model.build((None, 4))
    assert_step(model, X, BITS, weight)


@pytest.mark.parametrize("options", [{"clipnorm": 0.001}, {"momentum": 0.9}, {"use_ema": True}])
def test_the_optimizer_s_step_is_told_as_it_is(options):
    set_random_seed(1)
    model = plain()
    model.compile(SGD(0.5, **options), "mse")
    model.train_on_batch(X, BITS)  # from here on there is momentum
    step = assert_step(model, X, BITS)
    articles = [line.article for line in step.updates.values()]
    if "use_ema" in options:  # an average beside the weights: the step itself is plain descent
        assert articles == ["W1 - 0.5 dW1", "b1 - 0.5 db1", "W2 - 0.5 dW2", "b2 - 0.5 db2"]
    else:
        assert articles == [f"{w} + step of SGD" for w in ("W1", "b1", "W2", "b2")]


@pytest.mark.parametrize("build", MODELS)
def test_gradients_are_those_that_plain_descent_follows(build):
    set_random_seed(1)
    nnlite.config.set_floatx("float64")
    try:
        model = build()
        model.compile(SGD(0.5), "mse" if build is not plain else "binary_crossentropy")
        model.build((None, 4))
    finally:
        nnlite.config.set_floatx("float32")
    step = trace(model, X, BITS)
    updates = iter(step.updates.values())
    seen = set()
    for node in step.nodes:
        for name, gradient in node.gradients.items():
            if (node.name, name) not in seen and build is not constrained:
                np.testing.assert_allclose(next(updates).beside, -0.5 * gradient, atol=1e-14)
            seen.add((node.name, name))
    assert all(np.nanmax(np.abs(line.beside - line.array)) < 1e-6 for line in step.lines)


def two_ends():
    a, b = Input((4,), name="a"), Input((3,), dtype="int32", name="b")
    words = Flatten()(Embedding(5, 2)(b))
    h = Dense(3, "relu", name="h")(a)
    one = Dense(1, "sigmoid", name="one")(Add()([h, Dense(3)(words)]))
    return Model([a, b], {"one": one, "two": Dense(2, name="two")(h)})


def test_several_inputs_and_outputs():
    set_random_seed(1)
    model = two_ends()
    model.compile(Adam(), {"one": "binary_crossentropy", "two": "mse"}, {"one": 1.0, "two": 0.25})
    x = {"a": X, "b": np.arange(18).reshape(6, 3) % 5}
    y = {"one": BITS, "two": X[:, :2]}
    step = assert_step(model, x, y, {"one": WEIGHTS, "two": None})
    assert [line.name for line in step.inputs] == ["a", "b"]
    assert [line.name for line in step.input_gradients] == ["da"]
    values = {line.name: float(line.array) for line in step.cost_lines if not line.array.ndim}
    assert values["cost"] == pytest.approx(values["loss['one']"] + 0.25 * values["loss['two']"])
    assert [line.article for line in step.cost_lines][-1] == "1 L1 + 0.25 L2"
    (h,) = [node for node in step.nodes if node.name == "h"]
    assert list(h.gradients) == ["kernel", "bias"]
    da = h.backward[0]
    assert da.name == "da"
    assert da.formula == "back through add + two.da @ two.kernel.T"  # both read it
    assert [node.number for node in step.nodes] == list(range(1, len(step.nodes) + 1))


def test_layers_are_numbered_as_in_the_article_and_name_what_they_read():
    layers = [Dense(3), Activation("tanh"), Dropout(0.5, seed=1), Dense(1, "sigmoid")]
    step = trace(Sequential([Input((4,)), *layers]), X, BITS)
    lines = [line for node in step.nodes for line in [*node.parameters, *node.values]]
    assert [line.symbol for line in lines] == ["W1", "b1", "Z1", "A1", "A2", "W3", "b3", "Z3", "A3"]
    assert [line.article for line in lines if line.article] == [
        *("W1 A0 + b1", "tanh(Z1)", "dropout(A1)", "W3 A2 + b3", "sigmoid(Z3)"),
    ]
    back = [line for node in reversed(step.nodes) for line in node.backward]
    assert [(line.formula, line.article) for line in back] == [
        ("(a - y) / m", "A3 - Y"),
        ("x.T @ dz", "dZ3 A2.T / m"),
        ("dz.sum(axis=0)", "sum(dZ3) / m"),
        ("dense_1.dz @ dense_1.kernel.T", "W3.T dZ3"),
        ("back through dropout", "from dA2"),
        ("activation.da * tanh'(z)", "dA1 * tanh'(Z1)"),
        ("x.T @ dz", "dZ1 A0.T / m"),
        ("dz.sum(axis=0)", "sum(dZ1) / m"),
    ]
    dense, tanh, _, last = step.nodes
    np.testing.assert_array_equal(dense.output, tanh.inputs[0])
    assert dense.preactivation is None
    assert dense.output_gradient.shape == (6, 3)
    assert last.preactivation.shape == last.preactivation_gradient.shape == (6, 1)
    assert last.output_gradient is None
    assert last.notes == ["No dA3: the loss includes the activation and reads Z3."]
    assert lines[0].array.shape == (4, 3)
    assert lines[0].article_shape == (3, 4)


def test_finite_differences_are_beside_a_wrong_gradient():
    class Square(Layer):
        def forward(self, x, training=False):
            self.cache = (x,)
            return x**2

        def backward(self, gradient):
            (x,) = self.cache
            return gradient * x  # should be gradient * 2 * x

    step = trace(Sequential([Input((4,)), Dense(3), Square(), Dense(1)]), X, BITS)
    assert [line.symbol for line in step.lines if line.differs] == ["dA1", "dW1", "db1", "dA0"]
    da = step.nodes[0].backward[0]
    taken = ~np.isnan(da.beside)
    np.testing.assert_allclose(da.beside[taken], 2 * da.array[taken], rtol=1e-4, atol=1e-5)
    assert "differs" in str(step)
    assert "✗" in step._repr_html_()


def test_large_arrays_are_checked_where_they_are_shown_and_largest():
    x = np.random.default_rng(1).random((6, 40))
    step = trace(Sequential([Input((40,)), Dense(30), Dense(1)]), x, BITS)
    beside = step.nodes[0].finite_differences["kernel"]
    gradient = np.abs(step.nodes[0].gradients["kernel"])
    taken = ~np.isnan(beside)
    assert taken[np.ix_([0, 1, 2, 39], [0, 1, 29])].all()
    assert taken[np.unravel_index(gradient.argmax(), gradient.shape)]
    assert 12 <= taken.sum() <= 16
    assert trace(Sequential([Dense(1)]), X, BITS, check=False).nodes[0].finite_differences == {
        "kernel": None,
        "bias": None,
    }


def test_finite_differences_stay_on_one_side_of_a_kink_nearby():
    model = Sequential([Input((1,)), Dense(1, "relu", kernel_initializer="ones")])
    step = trace(model, [[5e-5]], [[1.0]])
    assert step.nodes[0].finite_differences["bias"] == pytest.approx(-2, rel=1e-3)
    assert not any(line.differs for line in step.lines)


def test_other_random_numbers_in_float64_are_no_finite_differences():
    step = trace(Sequential([Input((4,)), GaussianNoise(3.0, seed=1), Dense(1)]), X, BITS)
    assert step.notes == ["No finite differences: in float64 the model gives another cost."]
    assert all(line.beside is None for line in step.lines)


def test_a_step_that_is_not_finite_is_shown_and_has_no_update():
    model = Sequential([Input((4,)), Dense(1)])
    model.set_weights([np.full((4, 1), 3e38), np.zeros(1)])
    step = trace(model, 100 * X, BITS)
    assert not np.isfinite(step.cost)
    assert step.updates == {}
    assert "NaN or infinite" in str(step)
    assert "inf" in str(step).partition("-- Forward")[2]
    assert "NaN or infinite" in step._repr_html_()


def test_a_model_with_passes_of_its_own_is_one_node():
    class ByHand(Sequential):
        def forward(self, x, training=False):
            return 2 * super().forward(x, training)

        def backward(self, gradient):
            return super().backward(2 * gradient)

    step = trace(ByHand([Input((4,)), Dense(3, "tanh"), Dense(1)]), X, BITS)
    assert not any(line.differs for line in step.lines)
    (node,) = step.nodes
    assert list(node.gradients) == ["kernel", "bias", "kernel_1", "bias_1"]


def words(dtype):
    layers = [Embedding(9, 2, mask_zero=True), Bidirectional(LSTM(2)), Dense(1, "sigmoid")]
    return Sequential([Input((4,), dtype=dtype), *layers]), np.array([[1, 2, 0, 0], [3, 4, 5, 6]])


def image():
    layers = [Conv2D(2, 3, activation="tanh"), BatchNormalization(), MaxPooling2D(2), Flatten()]
    x = np.random.default_rng(1).standard_normal((2, 6, 6, 1))
    return Sequential([Input((6, 6, 1)), *layers, Dense(1, "sigmoid")]), x


@pytest.mark.parametrize("build", [lambda: words("float32"), lambda: words("int32"), image])
def test_sequences_with_masks_and_images_are_opened(build):
    set_random_seed(1)
    model, x = build()
    model.compile(SGD(0.5), "binary_crossentropy")
    step = assert_step(model, x, np.array([[0], [1]]))
    assert all(np.isfinite(line.beside).any() for line in step.lines)


def test_masks_are_told_as_such_and_indices_have_no_slope():
    model, x = words("float32")
    step = trace(model, x, np.array([[0], [1]]))
    values = [line.left for node in step.nodes for line in node.values]
    assert values[:3] == ["a = maskof(x)", "a = embedding(x)", "a = bidirectional(x, mask)"]
    assert step.input_gradients == []  # an index moved by a little is none
    symbols = [line.symbol for line in step.nodes[2].parameters]
    assert symbols == [*("W3", "recurrent_kernel_3", "b3", "W3_1", "recurrent_kernel_3_1", "b3_1")]
    x = np.random.default_rng(0).standard_normal((2, 4, 3))
    step = trace(Sequential([Masking(), GRU(2), Dense(1)]), x, np.ones((2, 1)), check=False)
    (dx,) = step.input_gradients
    assert dx.formula == "back through masking"  # and not through its mask
    for line in str(step).splitlines():
        assert len(line) <= 80
        assert not line.startswith("(")  # what goes on is set in


# ---- nothing is changed, and what is wrong is refused -------------------------------------------


def everything(model):
    states = [copy.deepcopy(layer.generator.bit_generator.state) for layer in model.layers[:1]]
    root = nnlite.random.states()
    states += [root["root"].bit_generator.state, root["numpy"], root["python"]]
    metrics = [variable.numpy().tolist() for m in model.metrics for variable in m.variables]
    weights = [v.numpy().tobytes() for v in model.all_variables()]
    return repr([snapshot(model), states, weights, metrics, random.getstate()])


def test_all_stays_as_it_is_after_a_trace_and_after_an_error():
    set_random_seed(5)
    model = Sequential([Dropout(0.5), Dense(3), BatchNormalization(), Dense(1, "sigmoid")])
    model.compile(Adam(use_ema=True), "binary_crossentropy", metrics=["accuracy"])
    model.fit(X, BITS, verbose=0)
    before = everything(model)
    step = trace(model, X, BITS, WEIGHTS)
    assert everything(model) == before
    for arrays in (step.nodes[1].gradients.values(), step.nodes[1].inputs):
        for array in arrays:
            array.fill(7)
    with pytest.raises(ValueError, match="y"):
        trace(model, X, BITS[:3])
    assert everything(model) == before


def test_a_layer_that_draws_from_the_global_generators_leaves_them():
    class Noisy(Layer):
        def forward(self, x, training=False):
            return x + np.random.rand() + random.random()  # noqa: NPY002

        def backward(self, gradient):
            return gradient

    model = Sequential([Input((4,)), Noisy(), Dense(1)])
    before = repr(nnlite.random.states())
    trace(model, X, BITS)
    assert repr(nnlite.random.states()) == before


def test_an_unbuilt_and_uncompiled_model_is_opened_as_fit_would_begin():
    set_random_seed(5)
    model = Sequential([Dense(3, "relu"), Dense(1, "sigmoid")])
    step = trace(model, X, BITS)
    assert not model.built
    assert not model.compiled
    assert step.cost_lines[2].formula == "BinaryCrossEntropy"
    model.train_on_batch(X, BITS)
    for line, weight in zip(step.updates.values(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(line.array, weight)


class OwnStep(Model):
    def __init__(self):
        super().__init__()
        self.dense = Dense(1)

    def call(self, x):
        return self.dense(x)

    def train_step(self, data):
        return {}


@pytest.mark.parametrize(
    ("error", "message", "arguments"),
    [
        (TypeError, "model must be a model.*Received: Dense", lambda: (Dense(1), X, BITS)),
        (ValueError, "its own training step", lambda: (OwnStep(), X, BITS)),
        (ValueError, "no trainable weight", lambda: (Sequential([Dropout(0.5)]), X, X)),
        (ValueError, "x and y", lambda: (plain(), X, BITS[:5])),
        (ValueError, "features|shape", lambda: (plain(), X[:, :3], BITS)),
        (ValueError, "sample_weight", lambda: (plain(), X, BITS, WEIGHTS[:3])),
        (TypeError, "check must be True or False", lambda: (plain(), X, BITS, None, "no")),
    ],
)
def test_wrong_arguments_are_refused(error, message, arguments):
    with pytest.raises(error, match=message):
        trace(*arguments())


# ---- how it is shown ----------------------------------------------------------------------------


def test_the_text_fits_a_terminal():
    named = Sequential([Input((4,)), Dense(2, name="n" * 70), Dense(1)], name="m" * 70)
    for model in (plain(), shared(), random_and_normal(), named):
        lines = str(trace(model, 1e-5 * X, BITS)).split("\n")
        assert max(map(len, lines)) <= 80


class Reader(HTMLParser):
    """Checks that elements are closed, and collects them with what they refer to."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.links = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href", "data")]
        if tag not in ("circle", "meta", "line") or (tag == "line" and ("x1" in dict(attrs))):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_asks_for_nothing(tmp_path):
    model = Sequential([Input((4,)), Dense(3, "relu", name="a_b"), Dense(1, "sigmoid")])
    step = trace(model, X, BITS)
    text = step._repr_html_()
    page = Reader(text)
    assert not page.open
    assert not page.links
    assert not re.search(r"https?:|url\(|@import|<script", text)
    assert page.tags.count("circle") == 2 * (4 + 3 + 1)
    assert page.tags.count("line") == 4 * 3 + 3
    assert {"details", "summary", "table", "svg"} <= set(page.tags)
    assert "prefers-color-scheme:dark" in text
    step.save(tmp_path / "step.html")
    saved = (tmp_path / "step.html").read_text(encoding="utf-8")
    assert saved.startswith("<!DOCTYPE html>")
    assert text in saved
    assert repr(step) == "<Trace: One step of 'sequential', not taken: 6 samples, SGD at rate 0.01>"


def test_the_page_of_a_wide_net_has_no_drawing_and_shortens_arrays():
    step = trace(Sequential([Input((300,)), Dense(100), Dense(1)]), np.ones((50, 300)), np.ones(50))
    text = step._repr_html_()
    assert "<svg" not in text
    assert len(text) < 600_000


def test_names_are_escaped():
    model = Sequential([Input((4,)), Dense(1, name="<b>&")], name="<script>alert(1)</script>")
    text = trace(model, X, BITS)._repr_html_()
    assert "<script" not in text
    assert "<b>&" not in text
    assert "&lt;b&gt;&amp;" in text

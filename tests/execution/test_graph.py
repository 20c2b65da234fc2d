"""What a plan decides: which array takes another's place, what is skipped, what is summed."""

import numpy as np
import pytest

import nnlite
from nnlite import Input, Layer, Model, Sequential, gradcheck, layers
from nnlite.execution import Memory, Plan, ReferenceExecutor, infer

X = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")


def plan_of(model, *x):
    return Plan(model.graph(training=True), model.learning_variables(), x or [X], Memory())


def decided(model, *x):
    """Return the plan's table as rows of cells: in place, gradient of the input."""
    lines = str(plan_of(model, *x)).splitlines()
    place, back = lines[0].index("in place"), lines[0].index("gradient")
    return [(line[place:back].strip(), line[back:].strip()) for line in lines[1:]]


def both_ways(model, *x, seed=3):
    """Return the gradients by the plan and by the reference executor."""
    x, found = x or [X], []
    variables = model.learning_variables()
    for executor in (
        ReferenceExecutor(model.graph(training=True), variables),
        plan_of(model, *x),
    ):
        for variable in variables:
            variable.gradient.fill(np.nan)
        outputs = executor.forward(x)
        generator = np.random.default_rng(seed)
        executor.backward([generator.normal(size=y.shape).astype(y.dtype) for y in outputs])
        found.append([variable.gradient.copy() for variable in variables])
    return found


def assert_equal_bits(model, *x):
    for one, other in zip(*both_ways(model, *x), strict=True):
        np.testing.assert_array_equal(one, other)
        assert np.isfinite(one).all()


def assert_inferred(model):
    """Assert that outputs without a trace are those of the reference executor."""
    graph = model.graph(training=False)
    for one, other in zip(infer(graph, [X]), ReferenceExecutor(graph).forward([X]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_activation_takes_the_place_of_what_it_reads():
    net = Sequential([Input((3,)), layers.Dense(4, "relu"), layers.Dense(2)])
    assert decided(net) == [("", "not asked for"), ("yes", "yes"), ("", "yes")]


def test_tanh_before_sigmoid_is_not_written_over():
    net = Sequential([Input((3,)), layers.Dense(4, "tanh"), layers.Activation("sigmoid")])
    assert [place for place, _ in decided(net)] == ["", "yes", ""]
    assert_equal_bits(net)


def test_what_two_layers_read_is_not_written_over():
    x = Input((3,))
    z = layers.Dense(3)(x)
    model = Model(x, layers.Add()([layers.ReLU()(z), layers.Activation("tanh")(z)]))
    assert "yes" not in [place for place, _ in decided(model)]
    assert_equal_bits(model)
    assert_inferred(model)


def test_an_activation_whose_derivative_reads_the_input_keeps_it():
    net = Sequential([Input((3,)), layers.Dense(4, "silu"), layers.Dense(2)])
    assert [place for place, _ in decided(net)] == ["", "", ""]


def test_the_input_is_never_written_to():
    net = Sequential([Input((3,)), layers.ReLU(), layers.Activation("tanh"), layers.Dense(1)])
    before = X.copy()
    plan_of(net).forward([X])
    infer(net.graph(training=False), [X])
    np.testing.assert_array_equal(X, before)
    flat = Sequential([Input((3, 1)), layers.Flatten(), layers.ReLU(), layers.Dense(1)])
    images = X[:, :, None].copy()
    plan_of(flat, images).forward([images])
    infer(flat.graph(training=False), [images])
    np.testing.assert_array_equal(images[:, :, 0], before)


def test_layers_before_which_nothing_learns_are_not_visited():
    base = Sequential([Input((3,)), layers.Dense(4, "relu")], trainable=False)
    net = Sequential([base, layers.Dense(2)])
    assert [back for _, back in decided(net)] == ["not visited", "not visited", "not asked for"]
    assert_equal_bits(net)


def test_a_view_of_the_input_follows_each_batch():
    net = Sequential([Input((3, 2)), layers.Permute((2, 1)), layers.Flatten(), layers.Dense(2)])
    first, second = np.random.default_rng(1).normal(size=(2, 5, 3, 2)).astype("float32")
    plan = plan_of(net, first)
    for x in (first, second, first):
        (y,) = plan.forward([x])
        np.testing.assert_array_equal(y, infer(net.graph(training=False), [x])[0])


def test_reshaped_gradients_that_cannot_be_views_are_copied():
    x = Input((4,))
    y = layers.Reshape((2, 2))(layers.Dense(4)(x))
    y = layers.Reshape((4,))(layers.Permute((2, 1))(y))
    model = Model(x, layers.Dense(2, "tanh")(y))
    assert_equal_bits(model, np.random.default_rng(1).normal(size=(3, 4)).astype("float32"))


def test_a_shared_layer_of_a_user_s_keeps_a_cache_for_each_call():
    class Squared(Layer):
        def forward(self, x, training=False):
            if training:
                self.cache = (x,)
            return x**2

        def backward(self, gradient):
            (x,) = self.cache
            return 2 * x * gradient

        def compute_output_shape(self, input_shape):
            return input_shape

    x, squared = Input((3,)), Squared()
    model = Model(x, squared(layers.Dense(3)(squared(layers.Dense(3)(x)))))
    assert_equal_bits(model)


def test_the_gradients_of_a_shared_layer_s_calls_add_up():
    a, b, dense = Input((3,)), Input((3,)), layers.Dense(2, use_bias=False)
    model = Model([a, b], layers.Add()([dense(a), dense(b)]))
    one, other = X, 2 * X + 1
    executor = ReferenceExecutor(model.graph(training=True), model.learning_variables())
    executor.forward([one, other])
    dy = np.ones((4, 2), "float32")
    executor.backward([dy])
    # J = sum(a W + b W): dJ/dW = (a + b)^T 1
    np.testing.assert_allclose(dense.kernel.gradient, (one + other).T @ dy, rtol=1e-6)
    assert_equal_bits(model, one, other)


def test_an_output_without_a_loss_has_no_gradient():
    x = Input((3,))
    used, unused = layers.Dense(1, name="used"), layers.Dense(1, name="unused")
    model = Model(x, [used(x), unused(x)])
    for executor in (
        ReferenceExecutor(model.graph(training=True), model.learning_variables()),
        plan_of(model),
    ):
        unused.kernel.gradient = np.full((3, 1), 7.0)
        executor.forward([X])
        executor.backward([np.ones((4, 1), "float32"), None])
        np.testing.assert_array_equal(unused.kernel.gradient, 0)
        np.testing.assert_allclose(used.kernel.gradient[:, 0], X.sum(axis=0), rtol=1e-6)


def test_an_output_that_nobody_reads_has_a_gradient_of_zero():
    x = Input((4,))
    first, _ = nnlite.ops.split(layers.Dense(4)(x), 2, axis=-1)
    model = Model(x, layers.Dense(1)(first))
    batch = np.random.default_rng(2).normal(size=(3, 4)).astype("float32")
    assert_equal_bits(model, batch)
    kernel = model.layers[1].kernel
    np.testing.assert_array_equal(kernel.gradient[:, 2:], 0)
    assert kernel.gradient[:, :2].all()


def test_a_view_keeps_the_memory_of_the_gradient_that_it_shows():
    net = Sequential([Input((3,)), layers.Dense(4), layers.Dense(4), layers.Reshape((2, 2))])
    net.add(layers.Flatten())
    net.add(layers.Dense(4))
    net.add(layers.Dense(2))
    assert_equal_bits(net)


def test_a_gradient_that_is_shown_and_read_again_is_no_view():
    x = Input((3,))
    y = layers.Dense(4)(layers.Dense(3)(x))
    shown = layers.Dense(1)(layers.Flatten()(layers.Reshape((2, 2))(y)))
    assert_equal_bits(Model(x, layers.Add()([shown, layers.Dense(1)(y)])))


def test_a_weight_that_nothing_uses_has_a_gradient_of_zero():
    class Half(Model):
        def __init__(self):
            super().__init__()
            self.used, self.unused = layers.Dense(1), layers.Dense(1)
            self.unused.build((None, 3))

        def call(self, x):
            return self.used(x)

    model = Half()
    model.compile("sgd", "mse")
    model.train_on_batch(X, X[:, :1])
    before = model.unused.get_weights()
    model.unused.kernel.gradient = np.full((3, 1), 7.0)
    model.train_on_batch(X, X[:, :1])
    for one, other in zip(model.unused.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_loss_takes_no_logits_of_an_output_that_is_read_again():
    x = Input((3,))
    p = layers.Dense(1, activation="sigmoid", name="p")(x)
    model = Model(x, [p, layers.Dense(1, name="q")(p)])
    model.compile("sgd", ["binary_crossentropy", "mse"])
    gradcheck.check_model(model, X, [np.array([[0.0], [1.0], [1.0], [0.0]]), X[:, :1]])


def test_an_output_that_is_read_again_gets_both_gradients():
    x = Input((3,))
    y = layers.Dense(3, "tanh")(x)
    model = Model(x, [y, layers.Dense(2)(y), y])
    assert_equal_bits(model)
    assert_inferred(model)


def test_one_array_can_be_two_inputs():
    a, b = Input((3,)), Input((3,))
    model = Model([a, b], layers.Dense(2)(layers.Subtract()([a, layers.Dense(3)(b)])))
    plan = plan_of(model, X, X)
    plan.forward([X, X])
    (y,) = plan.forward([X, 2 * X])
    np.testing.assert_array_equal(y, infer(model.graph(training=False), [X, 2 * X])[0])


def test_a_smaller_batch_takes_the_head_of_the_larger_one_s_memory():
    net = Sequential([Input((3,)), layers.Dense(4, "relu"), layers.Dense(2)])
    memory, variables = Memory(), net.learning_variables()
    large = Plan(net.graph(training=True), variables, [X], memory)
    small = Plan(net.graph(training=True), variables, [X[:2]], memory)
    (whole,), (head,) = large.forward([X]), small.forward([X[:2]])
    assert np.shares_memory(whole, head)


def test_layers_of_floats_read_integers_as_floats():
    x = Input((2,), dtype="int32")
    model = Model(x, layers.Dense(1, kernel_initializer="ones")(x))
    np.testing.assert_array_equal(model(np.array([[1, 2]])), [[3.0]])


def test_masks_pass_through_layers_that_support_them():
    x = np.ones((1, 3, 2), "float32")
    x[0, 1] = 0
    net = Sequential(
        [Input((3, 2)), layers.Masking(), layers.Dense(2, "relu"), layers.Dropout(0.1)]
    )
    for training in (False, True):
        graph = net.graph(training)
        executor = ReferenceExecutor(graph)
        executor.forward([x])
        mask = executor.values[graph.masks[graph.outputs[0]]]
        assert mask.tolist() == [[True, False, True]]

    class Swapped(Layer):
        def forward(self, x, training=False):
            return x[:, ::-1]

        def backward(self, gradient):
            return gradient[:, ::-1]

        def compute_mask(self, inputs, previous_mask=None):
            return None if previous_mask is None else previous_mask[:, ::-1]

    x[0, 0] = 0
    graph = Sequential([Input((3, 2)), layers.Masking(), Swapped()]).graph(training=False)
    executor = ReferenceExecutor(graph)
    executor.forward([x])
    assert executor.values[graph.masks[graph.outputs[0]]].tolist() == [[True, False, False]]
    with pytest.warns(UserWarning, match="does not pass masks on"):
        Sequential([Input((3, 2)), layers.Masking(), layers.Flatten()]).graph(training=False)

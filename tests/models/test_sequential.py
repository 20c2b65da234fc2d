"""The chain: what it holds and says, how it is built, shared and nested."""

import numpy as np
import pytest
from chains import X, Y, assert_same, differ, rng, small

from nnlite import Input, Model, Sequential, config, optimizers, set_random_seed
from nnlite.layers import (
    Activation,
    Concatenate,
    Dense,
    Dropout,
    Flatten,
    LeakyReLU,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)
from nnlite.models import clone_model

# ---- the chain ------------------------------------------------------------------------------


def test_layers_are_listed_without_the_input():
    first, second = Dense(3), Dense(2)
    model = Sequential([Input((4,)), first, second])
    assert model.layers == [first, second]
    model.layers.clear()
    assert model.layers == [first, second]
    assert model.input_shape == (None, 4)
    assert model.output_shape == (None, 2)


def test_add_and_pop_build_and_unbuild():
    model = Sequential()
    model.add(Input((4,)))
    assert not model.built
    model.add(Dense(3))
    assert model.built
    model.add(Dense(2))
    assert model.count_params() == 23
    last = model.layers[-1]
    assert model.pop() is last
    assert model.output_shape == (None, 3)
    assert model.predict(X).shape == (12, 3)
    model.pop()
    assert not model.built
    model.add(Dense(1))
    assert model.count_params() == 5


def test_an_emptied_model_forgets_the_shape_of_its_input():
    model = Sequential([Dense(3)])
    model.build((None, 4))
    model.pop()
    model.add(Dense(2))
    assert not Sequential.from_config(model.get_config()).built
    assert model.predict(X[:, :3]).shape == (12, 2)


def test_an_unbuilt_model_takes_layers_until_it_meets_data():
    model = Sequential([Dense(3)])
    model.add(Dense(2))
    assert not model.built
    assert model(X).shape == (12, 2)
    assert model.input_shape == (None, 4)
    assert [weight.shape for weight in model.weights] == [(4, 3), (3,), (3, 2), (2,)]


def test_adding_to_a_trained_model_keeps_what_it_has_learned():
    model = small()
    model.fit(X, Y, verbose=0)
    before, output = model.get_weights(), model.predict(X)
    model.add(ReLU())
    assert_same(model.get_weights(), before)
    np.testing.assert_array_equal(model.predict(X), np.maximum(output, 0))
    model.fit(X, Y, verbose=0)
    assert all(differ(model.get_weights(), before))


def test_a_layer_popped_after_training_keeps_its_weights():
    model = small()
    model.fit(X, Y, verbose=0)
    hidden, output = model.layers[0](X), model.predict(X)
    last = model.pop()
    np.testing.assert_array_equal(model.predict(X), hidden)
    np.testing.assert_array_equal(last(hidden), output)
    kept = last.get_weights()
    model.fit(X, X[:, :3], verbose=0)
    assert_same(last.get_weights(), kept)


def test_get_layer_by_name_and_by_index():
    model = Sequential([Dense(3, name="first"), Dense(2)])
    assert model.get_layer("first") is model.layers[0]
    assert model.get_layer(name="dense") is model.get_layer(index=1)
    assert model.get_layer(index=-1) is model.layers[1]


def test_layers_without_a_name_are_numbered():
    layers = [Dense(1), Dense(1), ReLU(), LeakyReLU(), Dense(1), Dense(1, name="out"), ReLU()]
    model = Sequential(layers)
    names = ["dense", "dense_1", "re_lu", "leaky_re_lu", "dense_2", "out", "re_lu_1"]
    assert [layer.name for layer in model.layers] == names
    assert Sequential().name == "sequential"
    assert Sequential(name="mine").name == "mine"


def test_sharing_a_layer_renames_nothing_that_has_its_place():
    model = Sequential([Dense(3), Dense(2)])
    shared = model.layers[0]
    other = Sequential([shared, Dense(4)])
    with pytest.raises(ValueError, match="a layer named 'dense' already"):
        Sequential([Dense(4), shared])
    for each in (model, other):
        assert [layer.name for layer in each.layers] == ["dense", "dense_1"]
        assert each.get_layer("dense") is shared


def test_repr_is_the_code_that_makes_it():
    model = Sequential([Input((4,)), Dense(3, "relu", name="body"), Dropout(0.5), Dense(1)])
    assert repr(Sequential([Dense(2)])) == "Sequential([Dense(units=2)])"
    text = repr(model)
    assert text.startswith("Sequential([InputLayer(shape=(4,)), Dense(units=3, activation=ReLU()")
    assert "Dropout(rate=0.5)" in text
    assert "name='body'" in text


# ---- building -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: Sequential([Input((4,)), Dense(2)]),
        lambda: Sequential([Input(shape=4), Dense(2)]),
        lambda: Sequential([Input(batch_shape=(None, 4)), Dense(2)]),
        lambda: Sequential([Dense(2, input_shape=(4,))]),
        lambda: Sequential([Dense(2, input_dim=4)]),
        lambda: Sequential([Sequential([Input((4,)), Dense(2)])]),
    ],
)
def test_a_stated_input_shape_builds_at_once(make):
    model = make()
    assert model.built
    assert model.input_shape[1:] == (4,)
    assert [weight.shape for weight in model.weights] == [(4, 2), (2,)]


def test_build_takes_the_shape_of_a_batch():
    model = Sequential([Flatten(), Dense(2)])
    model.build((None, 2, 3))
    assert model.count_params() == 14
    assert model.predict(np.zeros((5, 2, 3))).shape == (5, 2)
    weights = model.get_weights()
    model.build((None, 2, 3))
    assert_same(model.get_weights(), weights)


def test_more_axes_are_more_rows():
    model = Sequential([Dense(3, "relu"), Dense(2)])
    x = rng.standard_normal((5, 6, 4)).astype("float32")
    output = model.predict(x)
    assert output.shape == (5, 6, 2)
    np.testing.assert_allclose(output[:, 1], model(x)[:, 1], rtol=1e-5)
    history = model.fit(x, np.zeros((5, 6, 2)), epochs=30, verbose=0).history["loss"]
    assert history[-1] < history[0]


@pytest.mark.parametrize("dtype", ["float32", "float64", np.float64])
def test_every_array_is_of_the_one_dtype(dtype):
    model = Sequential([Dense(3, "tanh", dtype=dtype), Dropout(0.5, dtype=dtype)])
    model.add(Dense(2, dtype=dtype))
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    wanted = np.dtype(dtype)
    assert model.dtype == wanted
    assert {weight.dtype for weight in model.get_weights()} == {wanted}
    assert {vector.dtype for vector in model.optimizer.state.values()} == {wanted}
    assert model.predict(X.astype("float16")).dtype == wanted
    assert model(X.astype(int)).dtype == wanted
    assert model.layers[0](X).dtype == wanted


def test_floatx_is_the_dtype_of_new_layers():
    config.set_floatx("float64")
    try:
        model = Sequential([Dense(2)])
        assert model.predict(X).dtype == "float64"
    finally:
        config.set_floatx("float32")
    assert model.predict(X).dtype == "float64"
    assert Sequential([Dense(2)]).predict(X).dtype == "float32"
    with pytest.raises(ValueError, match="dtype must be 'float32' or 'float64'"):
        config.set_floatx("float16")


@pytest.mark.parametrize(
    ("name", "layer"),
    [("relu", ReLU), ("sigmoid", Sigmoid), ("tanh", Tanh), ("softmax", Softmax)],
)
def test_an_activation_is_the_same_as_a_name_a_layer_or_within_dense(name, layer):
    y = np.eye(3)[np.arange(12) % 3]
    outcomes = []
    for tail in (
        lambda: [Dense(3, name)],
        lambda: [Dense(3, layer())],
        lambda: [Dense(3, layer)],
        lambda: [Dense(3), layer()],
        lambda: [Dense(3), Activation(name)],
    ):
        set_random_seed(4)
        model = Sequential([Dense(5, "tanh"), *tail()])
        model.fit(X, y, epochs=3, verbose=0)
        outcomes.append([*model.get_weights(), model.predict(X)])
    for other in outcomes[1:]:
        assert_same(other, outcomes[0])


# ---- weights --------------------------------------------------------------------------------


def test_weights_stand_in_order_and_can_be_written():
    model = small()
    assert [weight.name for weight in model.weights] == ["kernel", "bias", "kernel", "bias"]
    kernel = model.layers[0].weights[0]
    assert kernel is model.weights[0]
    kernel.assign(np.ones((4, 3)))
    np.testing.assert_array_equal(model.get_weights()[0], np.ones((4, 3)))
    np.testing.assert_array_equal(np.asarray(kernel), np.ones((4, 3)))
    with pytest.raises(ValueError, match=r"'kernel' has shape \(4, 3\)"):
        kernel.assign(np.ones((3, 4)))
    assert model.count_params() == 23
    assert model.layers[0].count_params() == 15


def test_set_weights_carries_a_model_over():
    one, other = small(1), small(2)
    assert differ(one.get_weights(), other.get_weights())[0]
    other.set_weights(one.get_weights())
    np.testing.assert_array_equal(other.predict(X), one.predict(X))
    other.layers[1].set_weights([np.zeros((3, 2)), [1, 2]])
    np.testing.assert_array_equal(other.predict(X), np.tile([1, 2], (12, 1)))


def test_weights_can_be_set_between_fits():
    model = small()
    model.compile("adam", "mse")
    model.fit(X, Y, epochs=2, verbose=0)
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    np.testing.assert_array_equal(model.predict(X), np.zeros((12, 2)))
    model.fit(X, Y, verbose=0)
    assert model.get_weights()[3].any()


# ---- trainable ------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("frozen", [0, 1])
def test_a_frozen_layer_rests_and_goes_on_when_it_is_freed(frozen, optimizer):
    model = small()
    model.compile(optimizer, "mse")
    layer = model.layers[frozen]
    layer.trainable = False
    before = model.get_weights()
    model.fit(X, Y, epochs=2, verbose=0)
    moved = differ(model.get_weights(), before)
    assert moved == [frozen != 0, frozen != 0, frozen != 1, frozen != 1]
    assert len(model.trainable_weights) == len(model.non_trainable_weights) == 2
    layer.trainable = True
    before = model.get_weights()
    model.fit(X, Y, verbose=0)
    assert all(differ(model.get_weights(), before))


def test_the_other_layers_learn_as_if_the_frozen_one_were_a_constant():
    model = small()
    model.layers[0].trainable = False
    hidden = model.layers[0](X)
    alone = Sequential([Input((3,)), Dense(2)])
    alone.set_weights(model.layers[1].get_weights())
    for each, x in ((model, X), (alone, hidden)):
        each.compile(optimizers.SGD(0.1), "mse")
        each.fit(x, Y, 5, epochs=3, verbose=0, shuffle=False)
    for one, other in zip(model.layers[1].get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_a_whole_model_can_be_frozen():
    model = Sequential(small().layers, trainable=False)
    model.build((None, 4))
    assert not model.trainable
    assert model.trainable_weights == []
    before = model.get_weights()
    model.fit(X, Y, verbose=0)
    assert_same(model.get_weights(), before)
    model.trainable = True
    assert all(layer.trainable for layer in model.layers)
    model.fit(X, Y, verbose=0)
    assert all(differ(model.get_weights(), before))


def test_a_layer_that_learns_rests_within_a_frozen_model():
    model = small()
    model.trainable = False
    model.layers[0].trainable = True
    model.add(Dense(2))
    for each in (model, Sequential.from_config(model.get_config()), clone_model(model)):
        assert [layer.trainable for layer in each.layers] == [True, False, True]
        assert not each.trainable
        before = each.get_weights()
        each.fit(X, Y, verbose=0)
        assert_same(each.get_weights(), before)


def test_frozen_and_free_layers_can_swap():
    model = small()
    model.compile("adam", "mse")
    for free in (0, 1, 0):
        model.layers[free].trainable = True
        model.layers[1 - free].trainable = False
        before = model.get_weights()
        model.fit(X, Y, verbose=0)
        moved = differ(model.get_weights(), before)
        assert moved == [free == 0, free == 0, free == 1, free == 1]


# ---- nested and shared ----------------------------------------------------------------------


def test_a_nested_model_trains_like_a_flat_one():
    outcomes = []
    for nest in (
        lambda a, b, c: [a, b, c],
        lambda a, b, c: [Sequential([a, b]), c],
        lambda a, b, c: [a, Sequential([b, c])],
        lambda a, b, c: [Sequential([Sequential([a]), Sequential([b, Sequential([c])])])],
    ):
        set_random_seed(6)
        model = Sequential(nest(Dense(5, "relu"), Dense(4, "tanh"), Dense(1, "sigmoid")))
        model.compile("adam", metrics=["accuracy"])
        history = model.fit(X, Y[:, 0] > 0, 5, epochs=3, verbose=0).history
        outcomes.append([history["loss"], history["accuracy"], *model.get_weights()])
    for other in outcomes[1:]:
        assert_same(other, outcomes[0])


def test_freezing_reaches_into_a_nested_model():
    inner = Sequential([Dense(3, "tanh"), Dense(3)])
    model = Sequential([Dense(4), inner, Dense(2)])
    model.build((None, 4))
    inner.layers[0].trainable = False
    before = model.get_weights()
    model.fit(X, Y, verbose=0)
    assert differ(model.get_weights(), before) == [True] * 2 + [False] * 2 + [True] * 4
    inner.trainable = False
    before = model.get_weights()
    model.fit(X, Y, verbose=0)
    assert differ(model.get_weights(), before) == [True] * 2 + [False] * 4 + [True] * 2


def test_a_layer_shared_by_two_models_learns_from_both():
    """Two models around one layer, trained in turn, are one set of weights moved in turn."""
    set_random_seed(3)
    shared = Dense(3, "tanh")
    models = [Sequential([Input((4,)), shared, Dense(2)]) for _ in range(2)]
    reference = [layer.get_weights() for layer in (shared, *(m.layers[1] for m in models))]
    for model in models:
        model.compile(optimizers.SGD(0.1, momentum=0.5), "mse")
    alone = []
    for which in range(2):
        model = Sequential([Input((4,)), Dense(3, "tanh"), Dense(2)])
        model.compile(optimizers.SGD(0.1, momentum=0.5), "mse")
        model.set_weights([*reference[0], *reference[1 + which]])
        alone.append(model)
    trunk = reference[0]
    for turn in range(6):
        which = turn % 2
        models[which].train_on_batch(X, Y)
        alone[which].set_weights([*trunk, *alone[which].layers[1].get_weights()])
        alone[which].train_on_batch(X, Y)
        trunk = alone[which].layers[0].get_weights()
        assert_same(shared.get_weights(), trunk)
        assert_same(models[which].get_weights(), alone[which].get_weights())
        assert_same(models[1 - which].layers[0].get_weights(), trunk)


def test_a_part_of_a_model_is_a_model():
    model = small()
    model.fit(X, Y, verbose=0)
    body = Sequential(model.layers[:1])
    np.testing.assert_array_equal(body.predict(X), model.layers[0](X))
    before = body.predict(X)
    model.fit(X, Y, verbose=0)
    assert (body.predict(X) != before).any()
    np.testing.assert_array_equal(body.predict(X), model.layers[0](X))


# ---- summary --------------------------------------------------------------------------------


TABLE = """\
Model: "net"
+-------------------+--------------+---------+
| Layer (type)      | Output Shape | Param # |
+-------------------+--------------+---------+
| hidden (Dense)    | (None, 20)   |     100 |
| dropout (Dropout) | (None, 20)   |       0 |
| dense (Dense)     | (None, 3)    |      63 |
+-------------------+--------------+---------+
Total params: 163 (652.00 B)
Trainable params: 63 (252.00 B)
Non-trainable params: 100 (400.00 B)
"""


def test_the_summary_to_the_letter(capsys):
    model = Sequential([Input((4,)), Dense(20, name="hidden"), Dropout(0.5), Dense(3)], name="net")
    model.layers[0].trainable = False
    assert model.summary() is None
    assert capsys.readouterr().out == TABLE


def test_the_summary_goes_where_it_is_sent(capsys):
    shown = []
    Sequential([Input((4,)), Dense(2)], name="net").summary(print_fn=shown.append)
    assert capsys.readouterr().out == ""
    assert "\n".join(shown).startswith('Model: "net"\n+-')


@pytest.mark.parametrize("columns", ["80", "70", "200"])
def test_the_summary_fits_the_terminal(monkeypatch, capsys, columns):
    monkeypatch.setenv("COLUMNS", columns)
    long = Dense(1234567, name="a_layer_with_a_name_" * 8)
    inner = Sequential([Dense(3)], name="inner" * 30)
    Sequential([Dense(4), long, inner]).summary(expand_nested=True, show_trainable=True)
    model = Sequential([Input((3, 4, 5)), Flatten(), Dense(2), inner])
    model.summary(expand_nested=True, show_trainable=True)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= int(columns)
    assert any("…" in line for line in lines)


def test_many_inputs_of_a_layer_leave_room_for_the_names(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    inputs = [Input((1,), name=f"a_column_{i}") for i in range(9)]
    Model(inputs, Concatenate(name="all")(inputs)).summary()
    printed = capsys.readouterr().out
    assert "| a_column_8 (InputLayer) |" in printed
    assert max(map(len, printed.splitlines())) <= 80


def test_the_summary_shows_nested_layers_and_what_is_trained(capsys):
    inner = Sequential([Dense(3), ReLU()], name="inner")
    model = Sequential([Input((4,)), inner, Dense(2)])
    inner.layers[0].trainable = False
    model.summary()
    assert "ReLU" not in capsys.readouterr().out
    model.summary(expand_nested=True, show_trainable=True)
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "(None" in line]
    assert [(row[1], row[-2]) for row in rows] == [
        ("inner", "Y"),
        ("dense", "N"),
        ("re_lu", "-"),
        ("dense", "Y"),
    ]
    assert [row[-4] for row in rows] == ["15", "15", "0", "8"]


def test_the_summary_counts_what_the_optimizer_keeps(capsys):
    model = Sequential([Input((4,)), Dense(3)])
    model.compile("adam", "mse")
    model.summary()
    assert "Optimizer" not in capsys.readouterr().out
    model.fit(np.zeros((2, 4)), np.zeros((2, 3)), verbose=0)
    model.summary()
    # Two moments of each weight in float32, the count in 8 bytes and the rate in 4.
    assert capsys.readouterr().out.splitlines()[-4:] == [
        "Total params: 47 (192.00 B)",
        "Trainable params: 15 (60.00 B)",
        "Non-trainable params: 0 (0.00 B)",
        "Optimizer params: 32 (132.00 B)",
    ]


def test_a_range_of_layers(capsys):
    model = Sequential([Input((4,)), *(Dense(2, name=name) for name in "abcd")])
    model.summary(layer_range=("b", "c"))
    shown = capsys.readouterr().out
    assert [name for name in "abcd" if f"| {name} (Dense)" in shown] == ["b", "c"]
    model.summary(layer_range=("c", "[bc]"))
    assert capsys.readouterr().out.count("(Dense)") == 1
    model.summary(layer_range=("d", "b"))
    assert capsys.readouterr().out.count("(Dense)") == 3
    with pytest.raises(ValueError, match=r"layer_range must name two layers.*'b', 'z'"):
        model.summary(layer_range=("b", "z"))
    with pytest.raises(ValueError, match=r"layer_range must name two layers.*\('b',\)"):
        model.summary(layer_range=("b",))


def test_a_range_of_layers_takes_nested_ones_whole(capsys):
    inner = Sequential([Dense(3, name="b"), Dense(3, name="c")], name="inner")
    Sequential([Input((4,)), Dense(4, name="a"), inner]).summary(
        expand_nested=True, layer_range=("inner", "inner")
    )
    shown = [line.split()[1] for line in capsys.readouterr().out.splitlines() if "(None" in line]
    assert shown == ["inner", "b", "c"]


def test_a_layer_with_layers_is_not_a_nested_model(capsys):
    branches = ReLU(name="branches")
    branches.layers = [Dense(3)]
    Sequential([Input((4,)), branches]).summary(expand_nested=True)
    shown = [line.split()[1] for line in capsys.readouterr().out.splitlines() if "(None" in line]
    assert shown == ["branches"]


def test_a_model_has_an_input_shape_once_it_is_built():
    model = Sequential([Dense(3)])
    assert not hasattr(model, "input_shape")
    assert not hasattr(model, "output_shape")
    model.build((None, 2))
    assert model.input_shape == (None, 2)
    assert model.output_shape == (None, 3)
    model.pop()
    assert not hasattr(model, "input_shape")
    nested = Sequential([Sequential([Dense(1)], name="inner")])
    nested.summary(expand_nested=True, print_fn=lambda line: None)

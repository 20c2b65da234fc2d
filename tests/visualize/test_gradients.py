"""The norms of gradients are those of the steps that were taken, and change none of them."""

import itertools
import pickle
import re
from xml.etree import ElementTree

import numpy as np
import pytest

import nnlite
from nnlite import Sequential, optimizers, visualize
from nnlite.callbacks import LambdaCallback
from nnlite.layers import Dense, Dropout
from nnlite.utils.markup import curves

X = np.random.default_rng(2).normal(size=(32, 2))
Y = X[:, :1]


def fitted(optimizer="sgd", callbacks=(), layers=None, **options):
    nnlite.set_random_seed(7)
    model = Sequential(layers or [Dense(3, activation="tanh"), Dropout(0.1), Dense(1)])
    model.compile(optimizer, "mse")
    model.fit(X, Y, 8, 2, 0, callbacks=callbacks, shuffle=False, **options)
    return model


def test_the_norm_is_the_length_of_the_step_over_the_rate():
    flow, weights = visualize.gradient_flow(), []
    note = LambdaCallback(
        on_train_begin=lambda logs: weights.append(flow.model.get_weights()),
        on_train_batch_end=lambda batch, logs: weights.append(flow.model.get_weights()),
    )
    model = fitted(optimizers.SGD(0.5), [flow, note])

    def norms(arrays):
        """Return the norms of the first and the last layer's kernel and bias together."""
        return [np.sqrt(sum(np.sum(a**2) for a in part)) for part in (arrays[:2], arrays[2:])]

    steps = [
        norms([(a - b) / 0.5 for a, b in zip(old, new, strict=True)])
        for old, new in itertools.pairwise(weights)
    ]
    np.testing.assert_allclose(flow.norms, steps, rtol=1e-4)
    np.testing.assert_allclose(flow.weight_norms, list(map(norms, weights[:-1])), rtol=1e-5)
    assert flow.layers == [model.layers[0].name, model.layers[2].name]
    assert flow.steps.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("name", ["Nadam", "Adadelta", "Lion", "Adam"])
def test_a_rule_that_overwrites_gradients_is_read_before_it_does(name):
    """In the first step no optimizer has changed anything yet: the gradients are those of SGD."""
    flows = [visualize.gradient_flow() for _ in range(2)]
    for flow, optimizer in zip(flows, (name, "SGD"), strict=True):
        fitted(getattr(optimizers, optimizer)(), flow)
    np.testing.assert_array_equal(flows[0].norms[0], flows[1].norms[0])


def test_clipped_and_accumulated_gradients_are_those_of_the_step():
    flow = visualize.gradient_flow()
    fitted(optimizers.SGD(0.1, global_clipnorm=1e-3), flow)
    np.testing.assert_allclose(np.hypot(*flow.norms.T), 1e-3, rtol=1e-5)
    fitted(optimizers.SGD(0.1, gradient_accumulation_steps=4), flow)
    assert flow.norms.shape == (2, 2)


@pytest.mark.parametrize("optimizer", ["sgd", "nadam"])
def test_recording_changes_no_step(optimizer):
    weights = [
        fitted(optimizer, callbacks).get_weights()
        for callbacks in ([], [visualize.gradient_flow(), visualize.gradient_flow(frequency=3)])
    ]
    for with_it, without in zip(*weights, strict=True):
        np.testing.assert_array_equal(with_it, without)


def test_frequency_and_a_new_beginning():
    flow = visualize.gradient_flow(frequency=3)
    for _ in range(2):
        model = fitted(callbacks=flow)
        assert flow.steps.tolist() == [1, 3, 6]
    assert model.optimizer.watchers == ()


def test_a_training_that_failed_leaves_nothing_behind():
    def fail(batch, logs):
        raise KeyError("mine")

    flow, model = visualize.gradient_flow(), Sequential([Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(KeyError):
        model.fit(X, Y, verbose=0, callbacks=[flow, LambdaCallback(on_train_batch_end=fail)])
    assert pickle.loads(pickle.dumps(model.optimizer)).watchers == ()
    model.fit(X, Y, verbose=0)
    assert len(flow.steps) == 1
    assert model.optimizer.watchers == ()


def test_frozen_layers_are_left_out_and_nested_ones_bear_both_names():
    frozen, inner = Dense(2, name="frozen", trainable=False), Dense(2, name="inner")
    nest = Sequential([inner], name="nest")
    flow = visualize.gradient_flow()
    fitted(callbacks=flow, layers=[frozen, nest, Dense(1, name="last")])
    assert flow.layers == ["nest/inner", "last"]


def test_a_model_that_trains_no_weight_has_no_curves():
    flow = visualize.gradient_flow()
    fitted(callbacks=flow, layers=[Dense(1, trainable=False)])
    assert flow.norms.shape == (8, 0)
    ElementTree.fromstring(flow.svg())


def test_the_drawing_is_svg_with_a_curve_for_each_layer(tmp_path):
    flow = visualize.gradient_flow(tmp_path / "flow.svg")
    fitted(callbacks=flow, layers=[Dense(2, name="a<b"), Dense(1, name="last")])
    drawing = (tmp_path / "flow.svg").read_text()
    root = ElementTree.fromstring(drawing)
    hints = [hint.text for hint in root.iter("{http://www.w3.org/2000/svg}title")]
    assert hints == ["a<b", "last"] * 2
    assert "http" not in drawing.replace("http://www.w3.org/2000/svg", "")
    assert flow._repr_html_() == drawing


def test_zeros_lie_at_the_foot_of_the_axis():
    flow = visualize.gradient_flow()
    fitted(callbacks=flow, layers=[Dense(1, "relu", kernel_initializer="zeros"), Dense(1)])
    assert (flow.norms[:, 0] == 0).all()
    path = re.search(r'<path d="([^"]+)"[^>]*><title>', flow.svg())[1]
    assert {float(point.split()[1]) for point in re.split("[ML]", path)[1:]} == {176.0}
    assert "nan" not in flow.svg()
    assert "inf" not in flow.svg()


@pytest.mark.parametrize("y", [[3e20] * 2, [1e-14, 2e-14], [0.0, 0.0], [5.0], [2.0, np.nan]])
def test_curves_have_ticks_at_any_scale(y):
    chart, _ = curves("loss", [("loss", range(len(y)), y, "red", False)])
    ticks = re.findall(r'text-anchor="end" class="faint">([^<]*)<', chart)[:-1]
    assert len({float(tick) for tick in ticks}) > 1
    assert "nan" not in chart


def test_long_curves_are_thinned_to_their_ends():
    chart, _ = curves("loss", [("loss", np.arange(9999), np.arange(9999), "red", False)])
    path = re.search(r'<path d="([^"]+)"[^>]*><title>', chart)[1]
    assert len(path.split("L")) == 300
    assert path.endswith("L428.0 30.0")


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match=r"path must end in \.svg.*Received: 'flow.png'"):
        visualize.gradient_flow("flow.png")
    with pytest.raises(ValueError, match="frequency must be at least 1"):
        visualize.gradient_flow(frequency=0)
    flow = visualize.gradient_flow()
    assert flow._repr_html_() == "No step yet"
    with pytest.raises(ValueError, match="no step to draw"):
        flow.svg()

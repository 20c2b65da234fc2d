"""A model with a seed draws its own numbers, and leaves the global ones alone."""

import copy
import pickle
from threading import Thread

import numpy as np
import pytest

import nnlite
from nnlite import Input, Model, Sequential, layers, random
from nnlite.callbacks import BackupAndRestore, Callback
from nnlite.initializers import GlorotUniform
from nnlite.models import clone_model, load_model, model_from_json

X = np.random.default_rng(0).random((24, 6, 3)).astype("float32")
Y = X.sum((1, 2))[:, None]


def chain(seed=7, built=True):
    head = [Input((6, 3))] if built else []
    return Sequential(
        [
            *head,
            layers.Bidirectional(layers.LSTM(3, dropout=0.3, return_sequences=True)),
            layers.SeparableConv1D(4, 2),
            layers.GaussianNoise(0.1),
            layers.GRU(3, recurrent_dropout=0.2),
            layers.Dropout(0.5),
            layers.Dense(1),
        ],
        seed=seed,
    )


class Net(Model):
    def __init__(self, seed=None, **kwargs):
        super().__init__(seed=seed, **kwargs)
        self.inner = Sequential([layers.Flatten(), layers.Dense(4), layers.Dropout(0.5)])
        self.heads = [layers.Dense(1)]

    def call(self, x):
        return self.heads[0](self.inner(x))


class Additive(layers.Layer):
    def build(self, input_shape):
        self.w = self.add_weight("w", input_shape[1:])
        self.v = self.add_weight("v", input_shape[1:], "random_normal")

    def forward(self, x, training=False):
        return x + self.w.value + self.v.value

    def backward(self, gradient):
        self.w.gradient[...] = self.v.gradient[...] = gradient.sum(0)
        return gradient


def of_own_layers(seed=7):
    inner = Sequential([layers.Flatten(), Additive()])
    return Sequential([inner, layers.Dense(1)], seed=seed)


def functional(seed=7):
    x = Input((6, 3), name="x")
    drawn = [GlorotUniform(seed=i) for i in range(2)]
    h = layers.Dense(4, kernel_initializer=drawn[0])(layers.Flatten()(x))
    h = layers.AlphaDropout(0.4)(layers.Dropout(0.5)(h))
    return Model(x, layers.Dense(1, kernel_initializer=drawn[1], name="y")(h), seed=seed)


def trained(model, epochs=2):
    model.compile("adam", "mse")
    model.fit(X, Y, epochs=epochs, batch_size=5, verbose=0)
    return model.get_weights()


def assert_equal(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b, strict=True)


def differ(ours, theirs):
    return any((a != b).any() for a, b in zip(ours, theirs, strict=True))


def assert_untouched(before):
    np.testing.assert_equal(comparable(random.states()), comparable(before))


def comparable(states):
    return {**states, "root": states["root"].bit_generator.state}


CHAINS = [chain, lambda: chain(built=False), lambda: Net(seed=7), of_own_layers]


@pytest.mark.parametrize("make", CHAINS, ids=["built", "built by data", "subclass", "own layers"])
def test_equal_seeds_train_to_equal_bits_and_nothing_global_moves(make):
    before = random.states()
    first = trained(make())
    assert_untouched(before)
    trained(chain(seed=None), 1)
    nnlite.utils.set_random_seed(5)
    np.random.rand(3)  # noqa: NPY002
    assert_equal(trained(make()), first)


def test_another_seed_draws_weights_dropout_and_order_anew():
    a, b = chain(), chain(8)
    assert differ(a.get_weights(), b.get_weights())
    b.set_weights(a.get_weights())
    assert differ(trained(a, 1), trained(b, 1))
    plain = [Sequential([layers.Flatten(), layers.Dense(1)], seed=seed) for seed in (1, 2)]
    for model in plain:
        model.build((None, 6, 3))
    plain[1].set_weights(plain[0].get_weights())
    assert differ(trained(plain[0], 1), trained(plain[1], 1))  # the order alone


def test_a_functional_model_draws_dropout_and_order_from_its_seed():
    models = [functional(), functional(), functional(8)]
    assert_equal(models[0].get_weights(), models[2].get_weights())  # of their initializers
    before = random.states()
    results = [trained(model) for model in models]
    assert_untouched(before)
    assert_equal(results[0], results[1])
    assert differ(results[0], results[2])


def test_layers_that_have_drawn_before_draw_from_the_model_then():
    def made(calls):
        x = np.ones((2, 3), "float32")
        first, last = layers.Dropout(0.5), layers.Dense(2)
        for _ in range(calls):
            first(x, training=True)
            layers.Dense(1).build((None, 3))  # draws the root's numbers up to here
        model = Sequential([Input((3,)), first, last], seed=3)
        return [*model.get_weights(), model(x, training=True)]

    assert_equal(made(0), made(2))


def test_seeds_of_layers_and_nested_models_are_kept():
    def drawn(seed):
        inner = Sequential([layers.Dense(3), layers.Dropout(0.5)], seed=1)
        own = layers.Dense(3, kernel_initializer=GlorotUniform(seed=2))
        noise = layers.GaussianNoise(1.0, seed=3)
        model = Sequential([Input((3,)), inner, own, noise, layers.Dense(3)], seed=seed)
        kernels = model.get_weights()[::2]
        return kernels, [inner(X[:, 0], training=True), noise(X, training=True)]

    (kernels, draws), (others, drawn_too) = drawn(5), drawn(6)
    assert_equal(draws, drawn_too)
    assert_equal(kernels[:2], others[:2])
    assert differ(kernels[2:], others[2:])


def test_a_generator_that_the_user_sets_stays():
    noise = layers.GaussianNoise(1.0)
    noise.generator = own = np.random.default_rng(0)
    assert Sequential([Input((3,)), noise, layers.Dense(1)], seed=1).layers[0].generator is own


def test_one_initializer_gives_two_layers_the_same_values():
    draw = GlorotUniform()
    model = Sequential(
        [Input((3,)), *(layers.Dense(3, kernel_initializer=draw) for _ in range(2))], seed=1
    )
    assert_equal(model.get_weights()[:1], model.get_weights()[2:3])


def test_seeds_without_a_model_are_drawn_in_the_order_of_creation():
    def values(build_first):
        nnlite.utils.set_random_seed(4)
        made = [layers.Dense(2), layers.Dropout(0.5), layers.Dense(2)]
        for layer in made[:: 1 if build_first else -1]:
            layer(np.ones((1, 2)), training=True)
        copied = copy.deepcopy(made[1])
        return [made[0].kernel.value, made[2].kernel.value], copied.generator.random()

    (ours, draw), (theirs, other) = values(True), values(False)
    assert_equal(ours, theirs)
    assert draw == other
    nnlite.utils.set_random_seed(4)
    assert_equal(ours[:1], [GlorotUniform(seed=random.new_seed())((2, 2))])


def test_a_seed_is_of_the_root_at_its_creation():
    def value(again):
        nnlite.utils.set_random_seed(4)
        layer = layers.Dense(2)
        if again:
            nnlite.utils.set_random_seed(5)
        layer.build((None, 2))
        return layer.get_weights()

    assert_equal(value(True), value(False))


def test_a_copy_and_a_pickle_of_an_unbuilt_layer_have_its_seed():
    layer = layers.Dense(2)
    twins = [copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))]
    for one in (layer, *twins):
        one.build((None, 3))
    for twin in twins:
        assert_equal(twin.get_weights(), layer.get_weights())


def test_a_seed_is_not_lost_while_another_thread_draws():
    made = []
    thread = Thread(target=lambda: made.append(random.Seed()))
    with random._lock:  # as in _draw_waiting
        thread.start()
        thread.join(0.1)
        assert not made
    thread.join(10)
    assert made[0].read() >= 0


def test_seeds_that_are_gone_keep_their_place_and_no_memory():
    nnlite.utils.set_random_seed(8)
    expected = np.random.default_rng(8).integers(2**63, size=7)
    kept = [random.Seed() for _ in range(6)]
    del kept[4], kept[2]  # numbers 2 and 4 are drawn all the same
    with random.drawing_from(np.random.default_rng(0)):
        kept.pop(1).read()  # number 1 is not
    assert len(random._waiting) == 3
    assert [seed.read() for seed in kept] == expected[[0, 2, 4]].tolist()
    assert random.new_seed() == expected[5]
    kept = random.Seed()
    random.Seed()
    assert kept.read() == expected[6]
    assert random.new_seed() == np.random.default_rng(8).integers(2**63, size=9)[8]


def test_another_thread_draws_from_the_root_meanwhile():
    drawn = []
    before = random.states()["root"]
    with random.drawing_from(np.random.default_rng(0)):
        thread = Thread(target=lambda: drawn.append(random.new_seed()))
        thread.start()
        thread.join()
    assert drawn == [before.integers(2**63)]


# ---- copies and files -----------------------------------------------------------------------


@pytest.mark.parametrize("make", [chain, functional], ids=["chain", "functional"])
def test_pickles_and_copies_continue_the_stream(make):
    model = make()
    trained(model, 1)
    twins = [pickle.loads(pickle.dumps(model)), copy.deepcopy(model)]
    further = trained(model, 1)
    for twin in twins:
        assert_equal(trained(twin, 1), further)


@pytest.mark.parametrize("make", [chain, lambda: Net(seed=7)], ids=["chain", "subclass"])
def test_a_clone_begins_the_stream_again(make):
    model = make()
    first = trained(model)
    assert_equal(trained(clone_model(model)), first)


def test_a_functional_clone_has_the_seed():
    model = functional()
    assert_equal(trained(clone_model(model)), trained(model))


@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize("make", [chain, functional], ids=["chain", "functional"])
def test_files_keep_the_seed_whose_stream_begins_again(make, ending, tmp_path):
    path = str(tmp_path / f"model{ending}")
    model = make()
    model.compile("adam", "mse")
    model.save(path)
    first = trained(model)
    again = load_model(path)
    assert again.seed == 7
    assert_equal(trained(again), first)
    assert model_from_json(model.to_json()).seed == 7


def test_configurations_tell_the_seed_if_there_is_one():
    for make in (chain, functional, Net):
        assert make(seed=7).get_config()["seed"] == 7
        assert "seed" not in make(seed=None).get_config()
        config = make(seed=7).get_config()
        assert type(make(seed=7)).from_config(config).seed == 7
    outer = Sequential([functional(), layers.Dense(1)], name="outer")
    assert Sequential.from_config(outer.get_config()).layers[0].seed == 7


class Stop(Callback):
    armed = True

    def on_train_batch_end(self, batch, logs=None):
        if self.armed and batch == 2 and self.model.fit_loop.epoch == 1:
            raise InterruptedError


@pytest.mark.parametrize("make", [chain, functional], ids=["chain", "functional"])
def test_a_resumed_run_continues_the_stream(make, tmp_path):
    def run(model, *callbacks):
        model.compile("adam", "mse")
        for epochs in (1, 3):  # the second fit begins in the midst of the stream
            model.fit(X, Y, batch_size=5, epochs=epochs, verbose=0, callbacks=callbacks)
        return [*model.get_weights(), *trained(model, 1)]

    whole = run(make())
    backup = BackupAndRestore(str(tmp_path), save_freq=1)
    with pytest.raises(InterruptedError):
        run(make(), backup, stop := Stop())
    stop.armed = False
    model = make()
    model.compile("adam", "mse")
    model.fit(X, Y, batch_size=5, epochs=3, verbose=0, callbacks=[backup, stop])
    assert_equal([*model.get_weights(), *trained(model, 1)], whole)


@pytest.mark.parametrize("seed", [-1, 1.5, "7", True])
@pytest.mark.parametrize("make", [chain, functional, Net])
def test_a_seed_is_an_integer(make, seed):
    with pytest.raises(ValueError, match=f"at least 0. Received: seed={seed!r}"):
        make(seed=seed)

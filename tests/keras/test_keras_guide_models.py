"""The models of Keras's guide to the functional API, trained beside Keras from equal weights.

Each is written once and run with either package as ``k``: nothing but the import differs.
"""

import keras
import numpy as np
import pytest

import nnlite

# Keras's variables do not take NumPy 2's argument of __array__.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ROWS = 12
RNG = np.random.default_rng(5)


def words(count=10, high=20):
    return RNG.integers(1, high, (ROWS, count))


def floats(*shape):
    return RNG.random((ROWS, *shape)).astype("float32")


def bits(*shape):
    return RNG.integers(0, 2, (ROWS, *shape)).astype("float32")


def tickets(k, features):
    """Rank customer issues by priority and department: three inputs, two outputs."""
    layers = k.layers
    title_input = k.Input(shape=(None,), name="title")
    body_input = k.Input(shape=(None,), name="body")
    tags_input = k.Input(shape=(5,), name="tags")
    title_features = features(k, layers.Embedding(20, 4)(title_input))
    body_features = features(k, layers.Embedding(20, 4)(body_input))
    x = layers.concatenate([title_features, body_features, tags_input])
    priority_pred = layers.Dense(1, name="priority")(x)
    department_pred = layers.Dense(4, name="department")(x)
    model = k.Model(
        inputs=[title_input, body_input, tags_input],
        outputs={"priority": priority_pred, "department": department_pred},
    )
    model.compile(
        optimizer=k.optimizers.RMSprop(1e-3),
        loss={
            "priority": k.losses.BinaryCrossentropy(from_logits=True),
            "department": k.losses.CategoricalCrossentropy(from_logits=True),
        },
        loss_weights={"priority": 1.0, "department": 0.2},
    )
    return model


def tickets_by_lstm(k):
    return tickets(k, lambda k, x: k.layers.LSTM(4)(x))


def tickets_by_pooling(k):
    return tickets(k, lambda k, x: k.layers.GlobalAveragePooling1D()(x))


def residual(k):
    """The toy ResNet."""
    layers = k.layers
    inputs = k.Input(shape=(10, 10, 3), name="img")
    x = layers.Conv2D(4, 3, activation="relu")(inputs)
    x = layers.Conv2D(6, 3, activation="relu")(x)
    block_1_output = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(6, 3, activation="relu", padding="same")(block_1_output)
    x = layers.Conv2D(6, 3, activation="relu", padding="same")(x)
    block_2_output = layers.add([x, block_1_output])
    x = layers.Conv2D(6, 3, activation="relu", padding="same")(block_2_output)
    block_3_output = layers.add([x, block_2_output])
    x = layers.Conv2D(6, 3, activation="relu")(block_3_output)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(8, activation="relu")(x)
    x = layers.Dropout(0.0)(x)  # none, since draws differ
    outputs = layers.Dense(3)(x)
    model = k.Model(inputs, outputs, name="toy_resnet")
    model.compile(
        optimizer=k.optimizers.RMSprop(1e-3),
        loss=k.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["acc"],
    )
    return model


def shared_encoder(k):
    """One embedding for two texts of different lengths."""
    layers = k.layers
    shared_embedding = layers.Embedding(20, 6)
    text_input_a = k.Input(shape=(None,), dtype="int32")
    text_input_b = k.Input(shape=(None,), dtype="int32")
    encoder = k.Sequential([layers.GlobalAveragePooling1D(), layers.Dense(4, "tanh")])
    encoded_a = encoder(shared_embedding(text_input_a))
    encoded_b = encoder(shared_embedding(text_input_b))
    y = layers.Dense(1, activation="sigmoid")(layers.concatenate([encoded_a, encoded_b]))
    model = k.Model([text_input_a, text_input_b], y)
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


def siamese(k):
    """The distance between two pictures, by one network."""
    layers, ops = k.layers, k.ops
    inputs = k.Input((6, 6, 1))
    x = layers.Conv2D(3, 3, activation="tanh")(inputs)
    x = layers.Flatten()(layers.AveragePooling2D(2)(x))
    network = k.Model(inputs, layers.Dense(4)(x), name="network")
    left, right = k.Input((6, 6, 1)), k.Input((6, 6, 1))
    square = ops.square(network(left) - network(right))
    distance = ops.sqrt(ops.sum(square, axis=1, keepdims=True) + 1e-7)
    model = k.Model([left, right], layers.Dense(1, activation="sigmoid")(distance))
    model.compile(k.optimizers.SGD(0.1), "binary_crossentropy")
    return model


def autoencoder(k):
    """An encoder and a decoder as models, called like layers."""
    layers = k.layers
    encoder_input = k.Input(shape=(10, 10, 1), name="original_img")
    x = layers.Conv2D(3, 3, activation="relu")(encoder_input)
    x = layers.Conv2D(4, 3, activation="relu")(x)
    x = layers.MaxPooling2D(3)(x)
    x = layers.Conv2D(4, 2, activation="relu")(x)
    encoder_output = layers.GlobalMaxPooling2D()(x)
    encoder = k.Model(encoder_input, encoder_output, name="encoder")
    decoder_input = k.Input(shape=(4,), name="encoded_img")
    x = layers.Reshape((2, 2, 1))(decoder_input)
    x = layers.Conv2DTranspose(4, 3, activation="relu")(x)
    x = layers.UpSampling2D(2)(x)
    decoder_output = layers.Conv2DTranspose(1, 3, activation="relu")(x)
    decoder = k.Model(decoder_input, decoder_output, name="decoder")
    autoencoder_input = k.Input(shape=(10, 10, 1), name="img")
    encoded_img = encoder(autoencoder_input)
    decoded_img = decoder(encoded_img)
    model = k.Model(autoencoder_input, decoded_img, name="autoencoder")
    model.compile("adam", "mse")
    return model


def ensemble(k):
    """The mean of three models."""

    def get_model():
        inputs = k.Input(shape=(8,))
        outputs = k.layers.Dense(1)(inputs)
        return k.Model(inputs, outputs)

    inputs = k.Input(shape=(8,))
    outputs = k.layers.average([get_model()(inputs) for _ in range(3)])
    model = k.Model(inputs=inputs, outputs=outputs)
    model.compile("sgd", "mse")
    return model


def actor_critic(k):
    """The actor's probabilities and the critic's value off one layer."""
    layers = k.layers
    inputs = layers.Input(shape=(4,))
    common = layers.Dense(8, activation="relu")(inputs)
    action = layers.Dense(2, activation="softmax", name="action")(common)
    critic = layers.Dense(1, name="value")(common)
    model = k.Model(inputs=inputs, outputs=[action, critic])
    model.compile(
        k.optimizers.Adam(learning_rate=0.01),
        ["sparse_categorical_crossentropy", k.losses.Huber()],
    )
    return model


class WideAndDeep:
    """A subclass of ``k.Model``, so made for each package."""

    def __new__(cls, k):
        class Model(k.Model):
            def __init__(self, units=6, activation="relu", **kwargs):
                super().__init__(**kwargs)
                self.hidden1 = k.layers.Dense(units, activation=activation)
                self.hidden2 = k.layers.Dense(units, activation=activation)
                self.main_output = k.layers.Dense(1)
                self.aux_output = k.layers.Dense(1)

            def call(self, inputs):
                input_wide, input_deep = inputs
                hidden2 = self.hidden2(self.hidden1(input_deep))
                concat = k.layers.concatenate([input_wide, hidden2])
                return self.main_output(concat), self.aux_output(hidden2)

        model = Model(name="wide_and_deep")
        model([np.zeros((1, 5), "float32"), np.zeros((1, 6), "float32")])
        model.compile(k.optimizers.SGD(0.01), loss=["mse", "mse"], loss_weights=[0.9, 0.1])
        return model


def wide_and_deep(k):
    """The same by the functional API, with inputs and outputs by name."""
    layers = k.layers
    wide, deep = k.Input((5,), name="wide"), k.Input((6,), name="deep")
    hidden = layers.Dense(6, activation="relu")(layers.Normalization()(deep))
    hidden = layers.Dense(6, activation="relu")(hidden)
    output = layers.Dense(1, name="output")(layers.concatenate([wide, hidden]))
    aux = layers.Dense(1, name="aux")(hidden)
    model = k.Model({"wide": wide, "deep": deep}, {"output": output, "aux": aux})
    model.compile("adam", loss={"output": "mse", "aux": "mae"}, metrics={"output": ["mae"]})
    return model


TICKETS = (
    {"title": words(5), "body": words(7), "tags": bits(5)},
    {"priority": floats(1), "department": np.eye(4)[RNG.integers(0, 4, ROWS)]},
)
MODELS = {
    "tickets by LSTM": (tickets_by_lstm, *TICKETS),
    "tickets by pooling": (tickets_by_pooling, *TICKETS),
    "residual": (residual, floats(10, 10, 3), RNG.integers(0, 3, ROWS)),
    "shared encoder": (shared_encoder, [words(6), words(4)], bits(1)),
    "siamese": (siamese, [floats(6, 6, 1), floats(6, 6, 1)], bits(1)),
    "autoencoder": (autoencoder, floats(10, 10, 1), floats(10, 10, 1)),
    "ensemble": (ensemble, floats(8), floats(1)),
    "actor-critic": (actor_critic, floats(4), [RNG.integers(0, 2, ROWS), floats(1)]),
    "wide and deep, a subclass": (WideAndDeep, [floats(5), floats(6)], [floats(1), floats(1)]),
    "wide and deep": (
        wide_and_deep,
        {"wide": floats(5), "deep": floats(6)},
        {"output": floats(1), "aux": floats(1)},
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_the_guide_trains_as_in_keras(name):
    make, x, y = MODELS[name]
    keras.utils.set_random_seed(1)
    there, here = make(keras), make(nnlite)
    here.set_weights(there.get_weights())
    logs = [
        model.fit(x, y, epochs=2, batch_size=4, shuffle=False, verbose=0).history
        for model in (here, there)
    ]
    if make is WideAndDeep:  # Keras calls both outputs of a subclass by their one loss
        logs = [{"loss": each["loss"]} for each in logs]
    assert set(logs[0]) == set(logs[1])
    for key, values in logs[1].items():
        np.testing.assert_allclose(logs[0][key], values, rtol=1e-5, atol=1e-5, err_msg=key)
    for found, expected in zip(here.get_weights(), there.get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)

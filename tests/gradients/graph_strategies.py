"""Random graphs: fan-out, shared layers, several inputs and outputs, nested models."""

import numpy as np
from hypothesis import strategies as st

from nnlite import Input, Layer, Model, Sequential, layers

WIDTH = 3

#: Activations without kinks: a finite difference across one would be no derivative.
SMOOTH = ["tanh", "sigmoid", "softplus", "softmax", "silu", "linear", "gelu", "selu", "elu"]


class Mixed(Layer):
    """A layer of a user's with a sublayer and a weight: y = w * dense(x) + x^2."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(WIDTH, "tanh", dtype=self.dtype)

    def sublayers(self):
        return [self.dense]

    def build(self, input_shape):
        self.w = self.add_weight("w", (WIDTH,), "ones")
        self.dense.ensure_built(input_shape)

    def forward(self, x, training=False):
        y = self.dense.forward(x, training)
        if training:
            self.cache = (x, y)
        return self.w.value * y + x**2

    def backward(self, gradient):
        x, y = self.cache
        self.w.gradient = (gradient * y).sum(axis=0)
        return self.dense.backward(gradient * self.w.value) + 2 * x * gradient

    def compute_output_shape(self, input_shape):
        return input_shape


def dense(draw):
    penalty = draw(st.sampled_from([None, None, "l2"]))
    activation = draw(st.sampled_from(SMOOTH))
    return layers.Dense(WIDTH, activation, activity_regularizer=penalty)


def nested(draw):
    """Return a model that is used as a layer: a chain, or one with a fan-out."""
    if draw(st.booleans()):
        return Sequential([Input((WIDTH,)), dense(draw), layers.Activation("tanh")])
    x = Input((WIDTH,))
    y = dense(draw)(x)
    return Model(x, layers.Multiply()([y, layers.Add()([x, y])]))


#: What makes a new tensor of width 3 from one.
ONE = [
    dense,
    nested,
    lambda draw: Mixed(),
    lambda draw: layers.Activation(draw(st.sampled_from(SMOOTH))),
    lambda draw: layers.LayerNormalization(epsilon=0.1),
    lambda draw: layers.BatchNormalization(epsilon=0.1),
    lambda draw: layers.Dropout(0.3, seed=1),
    lambda draw: layers.Reshape((WIDTH,)),
]

#: What makes one from two.
TWO = [
    lambda a, b, draw: layers.Add()([a, b]),
    lambda a, b, draw: layers.Multiply()([a, b]),
    lambda a, b, draw: layers.Average()([a, b]),
    lambda a, b, draw: layers.Subtract()([a, b]),
    lambda a, b, draw: dense(draw)(layers.Concatenate()([a, b])),
    lambda a, b, draw: a + 0.5 * b,
    lambda a, b, draw: a * b,
    lambda a, b, draw: layers.Concatenate()([a[:, :1], b[:, 1:]]),
]


@st.composite
def graphs(draw):
    """Draw a functional model and a batch for it."""
    inputs = [Input((WIDTH,), name=f"in{i}") for i in range(draw(st.integers(1, 2)))]
    tensors, shared = list(inputs), []
    for _ in range(draw(st.integers(1, 6))):
        a = draw(st.sampled_from(tensors))
        kind = draw(st.integers(0, 2))
        if kind == 0:
            layer = draw(st.sampled_from(ONE))(draw)
            shared.append(layer)
            tensors.append(layer(a))
        elif kind == 1 and shared:
            tensors.append(draw(st.sampled_from(shared))(a))
        else:
            tensors.append(draw(st.sampled_from(TWO))(a, draw(st.sampled_from(tensors)), draw))
    made = tensors[len(inputs) :]
    others = draw(st.lists(st.sampled_from(made), max_size=2, unique_by=id))
    outputs = [made[-1], *(tensor for tensor in others if tensor is not made[-1])]
    model = Model(inputs, outputs)
    for layer in draw(st.lists(st.sampled_from(model.sublayers()), max_size=1)):
        layer.trainable = False
    generator = np.random.default_rng(draw(st.integers(0, 99)))
    for variable in model.weights:
        if variable.trainable:
            variable.assign(variable.value + generator.normal(0, 0.3, variable.shape))
    x = [generator.normal(size=(4, WIDTH)) for _ in inputs]
    return model, x

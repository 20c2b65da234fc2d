"""A network as the textbooks have it: slow, plain, in double precision, a few dozen lines.

The state machine runs a `Sequential` beside it. Nothing here is shared with the package.
"""

import numpy as np

FORWARD = {
    "linear": lambda z: z,
    "tanh": np.tanh,
    "relu": lambda z: np.where(z > 0, z, 0.0),
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "softmax": lambda z: np.exp(z) / np.exp(z).sum(axis=1, keepdims=True),
}
BACKWARD = {  # given the activation's output and the derivative by it
    "linear": lambda a, g: g,
    "tanh": lambda a, g: g * (1 - a**2),
    "relu": lambda a, g: g * (a > 0),
    "sigmoid": lambda a, g: g * a * (1 - a),
    "softmax": lambda a, g: a * (g - (a * g).sum(axis=1, keepdims=True)),
}


def loss_of(name, y, p):
    """Return each sample's loss, and its derivative by the predictions."""
    if name == "mse":
        return ((p - y) ** 2).mean(axis=1), 2 * (p - y) / p.shape[1]
    if name == "categorical_crossentropy":  # after a softmax: the predictions add up to 1
        return -(y * np.log(p)).sum(axis=1), -y / p
    inside = (p > 1e-7) & (p < 1 - 1e-7)
    c = np.clip(p, 1e-7, 1 - 1e-7)
    slope = np.where(inside, (c - y) / (c * (1 - c)), 0.0) / p.shape[1]
    return -(y * np.log(c) + (1 - y) * np.log(1 - c)).mean(axis=1), slope


class Layer:
    """activation(x kernel + bias), and l2 |kernel|^2 on top of the loss while it learns."""

    def __init__(self, units, activation, l2, trainable):
        self.units, self.activation, self.l2, self.trainable = units, activation, l2, trainable
        self.weights = []


class Rule:
    """SGD with momentum, or Adam; weights decay first."""

    def __init__(self, kind="sgd", rate=0.01, momentum=0.0, decay=0.0):
        self.kind, self.rate, self.momentum, self.decay = kind, rate, momentum, decay
        self.count, self.state = 0, {}

    def step(self, key, w, g):
        """Change ``w`` in place; ``key`` says what state is its."""
        m, v = self.state.get(key, (0.0, 0.0))
        w -= self.rate * self.decay * w
        if self.kind == "sgd":
            m = self.momentum * m - self.rate * g
            w += m
        else:
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
            bias = np.sqrt(1 - 0.999**self.count) / (1 - 0.9**self.count)
            w -= self.rate * bias * m / (np.sqrt(v) + 1e-7)
        self.state[key] = m, v


class Reference:
    """A chain of layers, its loss and its rule."""

    def __init__(self):
        self.layers, self.trainable = [], True
        self.rule, self.loss, self.mae = None, None, False

    def forward(self, x):
        outputs = [x]
        for layer in self.layers:
            kernel, bias = layer.weights
            outputs.append(FORWARD[layer.activation](outputs[-1] @ kernel + bias))
        return outputs

    def learns(self, layer):
        return self.trainable and layer.trainable

    def loss_name(self):
        by_activation = {"sigmoid": "binary_crossentropy", "softmax": "categorical_crossentropy"}
        return self.loss or by_activation.get(self.layers[-1].activation, "mse")

    def score(self, x, y, weight=None):
        """Return the loss and the mean absolute error of one batch, and the slopes by outputs."""
        p = self.forward(x)[-1]
        each, slope = loss_of(self.loss_name(), y, p)
        weight = np.ones(len(x)) if weight is None else weight
        penalty = sum(
            one.l2 * (one.weights[0] ** 2).sum() for one in self.layers if self.learns(one)
        )
        loss = (each * weight).mean() + penalty
        return np.array([loss, abs(y - p).mean()]), slope * weight[:, None] / len(x)

    def train(self, x, y, weight=None):
        """Take one step; return the batch's scores before it."""
        self.rule = self.rule or Rule()
        scores, g = self.score(x, y, weight)
        outputs, slopes = self.forward(x), []
        for layer, a, below in zip(self.layers[::-1], outputs[:0:-1], outputs[-2::-1], strict=True):
            g = BACKWARD[layer.activation](a, g)
            own = [below.T @ g + 2 * layer.l2 * layer.weights[0], g.sum(axis=0)]
            slopes.append((layer, own))
            g = g @ layer.weights[0].T
        self.rule.count += 1
        for layer, own in slopes:
            for place, slope in enumerate(own):
                if self.learns(layer):
                    self.rule.step((layer, place), layer.weights[place], slope)
        return scores

    def epoch(self, method, x, y, weight, size):
        """Return the mean of the scores that ``method`` gives for batches of ``size``."""
        total = 0.0
        for start in range(0, len(x), size):
            rows = slice(start, start + size)
            part = None if weight is None else weight[rows]
            total = total + method(x[rows], y[rows], part) * len(x[rows])
        return total / len(x)

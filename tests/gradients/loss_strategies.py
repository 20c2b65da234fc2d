"""What the gradient tests draw from: for each public loss an object, targets and predictions."""

import numpy as np
from hypothesis import strategies as st

from nnlite import losses

from .strategies import generators, kinds, sample_shapes, sizes, values

reductions = st.sampled_from(
    ["sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none", None]
)


def _distributions(generator, shape, axis):
    y = generator.dirichlet(np.ones(shape[axis]), [n for i, n in enumerate(shape) if i != axis])
    return np.moveaxis(y, -1, axis)


def _probabilities(generator, shape, kind):
    """Return numbers in (0, 1), of which some have come to 0 or 1 where they are not ordinary."""
    p = generator.uniform(0.01, 0.99, shape)
    if kind == "ordinary":
        return p
    if kind == "tiny":
        return p * 10 ** generator.uniform(-6, 0, shape)
    return np.where(
        generator.random(shape) < 0.4, generator.choice([0, 1e-30, 1 - 1e-9, 1], shape), p
    )


def _drawn(draw, arguments):
    return {key: draw(value) for key, value in arguments.items()}


def _near_one(generator, shape, kind):
    """Return numbers whose logarithms and quotients mean something: none is huge or tiny."""
    return np.clip(values(generator, shape, kind), -50, 50)


def _off_kinks(generator, shape, kind):
    """Return numbers that are not at 0 nor at 1, where a slope sets in that is no jump."""
    x = _near_one(generator, shape, kind)
    return x + 0.02 * ((np.abs(x) < 0.01) | (np.abs(np.abs(x) - 1) < 0.01))


def _below_one(generator, shape, kind):
    return np.minimum(_probabilities(generator, shape, kind), 0.999)


@st.composite
def _regression(draw, cls, data=values, targets=None, **arguments):
    """Draw a loss of any shapes: ``data`` makes the predictions, and ``targets`` the targets."""
    generator, shape = draw(generators), (draw(sizes), *draw(sample_shapes))
    loss = cls(reduction=draw(reductions), **_drawn(draw, arguments))
    kind = draw(kinds)
    return loss, (targets or data)(generator, shape, kind), data(generator, shape, kind)


@st.composite
def _crossentropy(draw, cls, **more):
    generator, kind = draw(generators), draw(kinds)
    shape = draw(st.sampled_from([(1, 1), (3, 1), (1, 4), (3, 2), (4, 5), (2, 3, 2), (2, 1, 3)]))
    arguments = {
        "from_logits": draw(st.booleans()),
        "axis": draw(st.sampled_from([-1, len(shape) - 1, 1])),
        "reduction": draw(reductions),
        **_drawn(draw, more),
    }
    axis = arguments["axis"] % len(shape)
    classes = shape[axis]
    binary = issubclass(cls, losses.BinaryCrossEntropy)
    if cls is losses.SparseCategoricalCrossEntropy:
        arguments["ignore_class"] = draw(st.sampled_from([None, 0, -1]))
        low = -1 if arguments["ignore_class"] == -1 else 0
        y_true = generator.integers(low, classes, [n for i, n in enumerate(shape) if i != axis])
    else:
        arguments["label_smoothing"] = draw(st.sampled_from([0, 0.1, 1]))
        if binary:
            y_true = np.round(generator.random(shape), draw(st.sampled_from([0, 1])))
        else:
            y_true = _distributions(generator, shape, axis) * draw(st.sampled_from([1, 0.7]))
    if arguments["from_logits"]:
        y_pred = values(generator, shape, kind)
    else:
        y_pred = _probabilities(generator, shape, kind)
        if not binary:
            y_pred += 1e-3 * (y_pred.sum(axis=axis, keepdims=True) < 1e-3)
    return cls(**arguments), y_true, y_pred


@st.composite
def _generalized(draw):
    generator, shape = draw(generators), (draw(sizes), *draw(sample_shapes))
    q = draw(st.sampled_from([0.1, 0.5, 0.9]))
    loss = losses.CategoricalGeneralizedCrossEntropy(q, draw(reductions))
    # Towards 0 the slope grows without bound, and no finite difference follows it.
    y_pred = generator.uniform(0.01, 0.99, shape)
    return loss, generator.integers(0, shape[-1], shape[:-1]), y_pred


@st.composite
def _circle(draw):
    generator, kind = draw(generators), draw(kinds)
    shape = (draw(st.integers(1, 6)), draw(sizes))
    loss = losses.Circle(
        draw(st.sampled_from([80.0, 2.0, 0.0])),
        draw(st.sampled_from([0.4, 0.0, 1.0])),
        draw(st.booleans()),
        draw(reductions),
    )
    x = values(generator, shape)
    if kind == "ordinary":
        x /= np.linalg.norm(x, axis=1, keepdims=True)
    elif kind == "tiny":
        x *= 1e-30
    return loss, generator.integers(0, 3, shape[:1]), x


def _labels(generator, shape, _):
    labels = generator.choice([-1.0, 1.0], shape)
    return labels if generator.random() < 0.5 else (labels + 1) / 2


def _counts(generator, shape, _):
    return generator.poisson(2.0, shape).astype(float)


def _rates(generator, shape, kind):
    return np.abs(_near_one(generator, shape, kind)) + (0.01 if kind == "ordinary" else 1e-3)


def _unit_sums(generator, shape, _):
    return _distributions(generator, shape, len(shape) - 1)


def _regions(generator, shape, _):
    return generator.choice([0.0, 0.3, 1.0], shape)


@st.composite
def _overlap(draw, cls, **arguments):
    loss, y_true, y_pred = draw(_regression(cls, _probabilities, _regions, **arguments))
    loss.axis = draw(st.sampled_from([None, -1, tuple(range(1, y_pred.ndim)), 0]))
    return loss, y_true, y_pred


_GAMMA = st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.5])

# For each public loss, an object with targets and predictions for it.
LOSSES = {
    losses.BinaryCrossEntropy: _crossentropy(losses.BinaryCrossEntropy),
    losses.BinaryFocalCrossEntropy: _crossentropy(
        losses.BinaryFocalCrossEntropy,
        apply_class_balancing=st.booleans(),
        alpha=st.sampled_from([0.25, 1.0]),
        gamma=_GAMMA,
    ),
    losses.CategoricalCrossEntropy: _crossentropy(losses.CategoricalCrossEntropy),
    losses.CategoricalFocalCrossEntropy: _crossentropy(
        losses.CategoricalFocalCrossEntropy, alpha=st.sampled_from([0.25, 2.0]), gamma=_GAMMA
    ),
    losses.CategoricalGeneralizedCrossEntropy: _generalized(),
    losses.CategoricalHinge: _regression(losses.CategoricalHinge, values, _unit_sums),
    losses.Circle: _circle(),
    losses.CosineSimilarity: _regression(losses.CosineSimilarity, axis=st.sampled_from([-1, 1])),
    losses.Dice: _overlap(losses.Dice),
    losses.Hinge: _regression(losses.Hinge, values, _labels),
    losses.Huber: _regression(losses.Huber, delta=st.sampled_from([0.5, 1.0, 30.0])),
    losses.KLDivergence: _regression(losses.KLDivergence, _below_one, _unit_sums),
    losses.LogCosh: _regression(losses.LogCosh),
    losses.MeanAbsoluteError: _regression(losses.MeanAbsoluteError),
    losses.MeanAbsolutePercentageError: _regression(losses.MeanAbsolutePercentageError, _near_one),
    losses.MeanSquaredError: _regression(losses.MeanSquaredError),
    losses.MeanSquaredLogarithmicError: _regression(losses.MeanSquaredLogarithmicError, _off_kinks),
    losses.Poisson: _regression(losses.Poisson, _rates, _counts),
    losses.SparseCategoricalCrossEntropy: _crossentropy(losses.SparseCategoricalCrossEntropy),
    losses.SquaredHinge: _regression(losses.SquaredHinge, _off_kinks, _labels),
    losses.Tversky: _overlap(
        losses.Tversky, alpha=st.sampled_from([0.0, 0.3, 2.0]), beta=st.sampled_from([0.0, 0.7])
    ),
}

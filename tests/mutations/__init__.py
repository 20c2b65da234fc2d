"""The mistakes that the tests must notice: a sign, a factor, an axis."""

from mutations import (
    activations,
    callbacks,
    layers,
    losses,
    metrics,
    model,
    ops,
    optimizers,
    saving,
    sklearn,
)

MUTANTS = {
    **activations.MUTANTS,
    **callbacks.MUTANTS,
    **layers.MUTANTS,
    **losses.MUTANTS,
    **metrics.MUTANTS,
    **model.MUTANTS,
    **ops.MUTANTS,
    **optimizers.MUTANTS,
    **saving.MUTANTS,
    **sklearn.MUTANTS,
}

import numpy as np

from nnlite import Input, Sequential
from nnlite.execution import infer, inference
from nnlite.layers import Dense


def test_a_chain_keeps_the_links_of_the_last_shapes_and_gives_the_same_for_each(monkeypatch):
    monkeypatch.setattr(inference, "_SHAPES", 3)
    kernels = [[1.0, 2.0], [3.0, 4.0]]
    model = Sequential([Input((None, 2)), Dense(2, "relu"), Dense(1, kernel_initializer="ones")])
    model.set_weights([np.array(kernels), np.array([1.0, -9.0]), np.ones((2, 1)), np.zeros(1)])
    graph = model.graph(training=False)
    for samples, times in [(1, 1), (2, 1), (1, 3), (4, 2), (1, 1), (2, 1), (3, 1)]:
        x = np.arange(samples * times * 2.0, dtype="float32").reshape(samples, times, 2)
        (y,) = infer(graph, [x])
        expected = np.maximum(x @ kernels + [1, -9], 0).sum(axis=-1, keepdims=True)
        np.testing.assert_array_equal(y, expected)
    assert len(graph.prepared["inference"][2]) <= 3

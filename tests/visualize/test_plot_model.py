"""plot_model draws a box for each call, edges where tensors flow, and nothing over another."""

import itertools
import re
from xml.etree import ElementTree

import pytest

from nnlite import Input, Model, Sequential
from nnlite.layers import Add, Concatenate, Dense
from nnlite.utils import plot_model

SVG = "{http://www.w3.org/2000/svg}"
DIRECTIONS = {"TB": (1, 1), "BT": (1, -1), "LR": (0, 1), "RL": (0, -1)}


def branched():
    """Return a model of two inputs and two outputs, with a nested one and an edge over ranks."""
    a, b = Input((4,), name="a"), Input((8,), name="b")
    inner = Sequential([Input((8,)), Dense(5, name="in1"), Dense(4, name="in2")], name="inner")
    shared = Dense(4, "relu", name="shared")
    both = Add(name="sum")([shared(shared(a)), inner(b)])
    return Model([a, b], [Dense(1, name="x")(both), Concatenate(name="cat")([both, b])])


def boxes_of(picture):
    """Return the text and the rectangle of each box."""
    boxes = []
    for group in ElementTree.fromstring(str(picture)).iter(f"{SVG}g"):
        rect, lines = group.find(f"{SVG}rect"), [t.text for t in group.iter(f"{SVG}text")]
        x, y, w, h = (float(rect.get(name)) for name in ("x", "y", "width", "height"))
        boxes.append((lines, (x, y, x + w, y + h)))
    return boxes


def edges_of(picture):
    """Return each edge that begins or ends at a box, as the two points."""
    paths = re.findall(r'<path d="(M[^"]+)" class="edge"', str(picture))
    numbers = [list(map(float, re.findall(r"-?\d+\.\d", path))) for path in paths]
    return [((n[0], n[1]), (n[-2], n[-1])) for n in numbers]


def connected(picture):
    """Return the pairs of names that edges lead between, followed through the places they pass."""
    boxes, pairs, loose = boxes_of(picture), set(), []

    def at(point):
        for lines, (left, top, right, bottom) in boxes:
            if left - 0.2 <= point[0] <= right + 0.2 and top - 0.2 <= point[1] <= bottom + 0.2:
                return lines[1]
        return None

    for start, end in edges_of(picture):
        if at(start) and at(end):
            pairs.add((at(start), at(end)))
        else:
            loose.append((at(start), at(end)))
    return pairs, loose


def test_edges_lead_where_tensors_flow():
    pairs, loose = connected(plot_model(branched(), None))
    shared = {("a", "shared"), ("shared", "shared"), ("shared", "sum")}
    assert pairs == shared | {("b", "inner"), ("sum", "x"), ("sum", "cat")}
    # Two edges pass ranks: the inner model lies beside the first call of the shared layer.
    assert {start for start, _ in loose if start} == {"b", "inner"}
    assert {end for _, end in loose if end} == {"cat", "sum"}


def test_nested_models_are_drawn_in_their_place():
    picture = plot_model(branched(), None, expand_nested=True)
    pairs, _ = connected(picture)
    assert {("b", "inner/in1"), ("inner/in1", "inner/in2"), ("inner/in2", "sum")} <= pairs
    assert not any(lines[1] == "inner" for lines, _ in boxes_of(picture))


@pytest.mark.parametrize("rankdir", DIRECTIONS)
@pytest.mark.parametrize("expand", [False, True])
def test_no_box_lies_over_another_and_all_edges_point_one_way(rankdir, expand):
    picture = plot_model(branched(), None, show_shapes=True, rankdir=rankdir, expand_nested=expand)
    for (_, a), (_, b) in itertools.combinations(boxes_of(picture), 2):
        assert a[2] < b[0] or b[2] < a[0] or a[3] < b[1] or b[3] < a[1]
    axis, sign = DIRECTIONS[rankdir]
    assert all(sign * (end[axis] - start[axis]) > 0 for start, end in edges_of(picture))
    _, _, width, height = ElementTree.fromstring(str(picture)).get("viewBox").split()
    for _, (left, top, right, bottom) in boxes_of(picture):
        assert left > 0 < top
        assert right < float(width)
        assert bottom < float(height)


def test_boxes_say_what_is_asked_for():
    model = Sequential([Input((4,), name="in"), Dense(8, "relu", name="a<b"), Dense(1, name="c")])
    model.layers[1].trainable = False
    lines = [text for text, _ in boxes_of(plot_model(model, None, show_layer_names=False))]
    assert lines == [["InputLayer"], ["Dense"], ["Dense"]]
    flags = ("shapes", "dtype", "layer_activations", "trainable")
    picture = plot_model(model, None, **{f"show_{flag}": True for flag in flags})
    lines = [text for text, _ in boxes_of(picture)]
    assert lines[0] == ["InputLayer", "in", "(None, 4)", "float32"]
    assert lines[1] == ["Dense", "a<b", "relu", "(None, 4) → (None, 8)", "float32", "trained"]
    assert lines[2] == ["Dense", "c", "linear", "(None, 8) → (None, 1)", "float32", "frozen"]
    assert picture._repr_html_() == str(picture)


def test_the_file_holds_the_drawing(tmp_path):
    picture = plot_model(branched(), tmp_path / "model.svg")
    assert (tmp_path / "model.svg").read_text() == str(picture)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"to_file": "model.png"}, ValueError, "to_file must end in .svg.*Received: 'model.png'"),
        ({"to_file": "no/model.svg"}, FileNotFoundError, "no folder 'no'"),
        ({"rankdir": "up"}, ValueError, "rankdir must be .*Received: 'up'"),
        ({"show_shapes": "yes"}, TypeError, "show_shapes must be True or False"),
        ({"model": Dense(1)}, TypeError, "model must be a model. Received: Dense"),
        ({"model": Sequential([Dense(1)])}, ValueError, "is not built"),
    ],
)
def test_wrong_arguments_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        plot_model(**{"model": branched(), "to_file": None} | options)


def test_models_show_their_summary_escaped():
    model = Sequential([Input((4,)), Dense(8, name="a<b")])
    shown = ElementTree.fromstring(model._repr_html_())
    cells = [[cell.text for cell in row] for row in shown.iter("tr")]
    assert cells == [
        ["Layer (type)", "Output Shape", "Param #"],
        ["a<b (Dense)", "(None, 8)", "40"],
    ]
    assert "Total params: 40 (160.00 B)" in [line.text for line in shown.iter("div")]
    assert "Not built yet" in Sequential([Dense(1)])._repr_html_()

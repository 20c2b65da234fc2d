"""JSON from a file: what Keras writes is read, what would hurt is refused before it is parsed."""

import json
import math

import pytest

from nnlite.saving.formats.json_text import parse_json

from .limits import refuses


def refused(text, message):
    refuses(lambda: parse_json(text, "config.json"), f"^config.json: not valid JSON .*{message}")


def test_what_json_writes_is_read_back():
    config = {"a": [1, -2.5, 1e-300, True, None, 'quote " slash \\ [[[ é \U0001f600'], "b": {}}
    for text in (json.dumps(config), json.dumps(config, ensure_ascii=False)):
        assert parse_json(text, "text") == config
        assert parse_json(text.encode(), "text") == config


def test_numbers_that_are_no_numbers_are_read_as_python_writes_them():
    text = json.dumps([math.nan, math.inf, -math.inf, 1e308 * 10])
    nan, *rest = parse_json(text, "text")
    assert math.isnan(nan)
    assert rest == [math.inf, -math.inf, math.inf]


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_deep_nesting_is_refused_before_parsing(opening, closing):
    refused(opening * 100_000, rf"nested {len(closing)}00000 deep; at most 100")
    times = 100 // len(closing)
    assert parse_json(opening * times + "0" + closing * times, "text")
    refused(opening * (times + 1) + "0" + closing * (times + 1), "nested 10[12] deep")


def test_brackets_inside_of_text_are_no_nesting():
    text = json.dumps(["[" * 5000, '\\"[[' * 100, "\\" * 7 + '"' + "{" * 200])
    assert parse_json(text, "text") == json.loads(text)
    refused('"\\\\' + '"[' * 150, "nested|delimiter|Extra data|Expecting")
    refused('["\\\\",' + "[" * 150 + '"', "nested 151 deep")


def test_a_key_twice_in_one_object_is_refused():
    refused('{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' appears twice")
    refused("{" + '"k":0,' * 150_000 + '"k":0}', "the key 'k' appears twice")
    assert parse_json('[{"a": 1}, {"a": 2}]', "text") == [{"a": 1}, {"a": 2}]


def test_huge_numbers_are_refused():
    refused("1" * 5_000, "5000 digits")
    refused("1." + "1" * 5_000_000, "5000002 digits")
    refused("-" + "1" * 5_000_000, "5000001 digits")
    assert parse_json("1" * 400, "text") == int("1" * 400)


def test_texts_beyond_the_size_of_a_config_are_refused():
    refused(b" " * ((8 << 20) + 1), "8388609 bytes; at most 8388608")
    refused("[" + "0," * 1_000_000 + "0]", "1000002 brackets, commas and quotes; at most 1000000")
    refused('"' * 4_000_000, "4000000 brackets")
    assert len(parse_json("[" + "0," * 499_000 + "0]", "text")) == 499_001


def test_a_text_at_the_limits_takes_less_than_the_memory_allowed():
    lists = "[" + "[]," * 333_000 + "x"
    objects = "[" + '{"":0},' * 199_000 + "x"
    strings = "[" + '"\U0001f600",' * 300_000 + "x"
    for text in (lists, objects, strings, '"' + "\U0001f600" * 2_000_000):
        refused(text, "Expecting value|Unterminated")


@pytest.mark.parametrize("text", [b"", b"\xff\xfe", "{", "[1,]", "nul", "{'a': 1}", "1 2", '"\n"'])
def test_what_is_no_json_is_refused(text):
    refused(text, ".")

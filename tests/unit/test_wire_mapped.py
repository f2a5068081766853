"""Mapping rules: which values they take, what these are called, and what they refuse."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.codecs.checks import MAX_DEPTH
from wire.codecs.formats import SHIPPED, Format, Formats, mapping_format
from wire.codecs.mapping.file import parse
from wire.codecs.mapping.mapped import MAX_KEY_CHARS, MAX_KEYS, Mapped
from wire.codecs.mapping.paths import Path
from wire.errors import Malformed
from wire.messages import Decoded
from wire.patterns import REST

_EVERYTHING = '[[metrics]]\npath = "**"\n'


def _format(rules: str) -> Format:
    return mapping_format(f'name = "mine"\n{rules}', source="mine.toml")


def _read(rules: str, payload: Any, **names: str) -> Decoded:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return _format(rules).for_topic(names).decode(data).by_reading()


def _values(rules: str, payload: Any, **names: str) -> dict[Any, Any]:
    decoded = _read(rules, payload, **names)
    assert decoded.refused == []
    return decoded.readings[0].values if decoded.readings else {}


@pytest.mark.parametrize(
    ("path", "keys", "names"),
    [
        ("a.b", "a.b", {}),
        ("a.b", "a", None),
        ("a.b", "a.b.c", None),
        ("*.b", "x.b", {}),
        ("{k}.b", "x.b", {"k": "x"}),
        ("s:{k}.b", "s:0.b", {"k": "0"}),
        ("s:{k}.b", "s:.b", None),
        ("{k}_x", "y_x", {"k": "y"}),
        ("{k}_x", "_x", None),
        ("ab{k}ba", "aba", None),
        ("a.**", "a", None),
        ("a.**", "a.b.c", {"rest": "b.c"}),
        ("**", "a", {"rest": "a"}),
        ("", "a", None),
    ],
)
def test_mapping_path_means_keys(path: str, keys: str, names: dict[str, str] | None) -> None:
    """Literal keys, one wildcard in each, and everything below."""
    found = Path(path).match(tuple(keys.split(".")))

    assert found == (None if names is None else {"path": keys, **names})


@given(st.lists(st.sampled_from(["a", "b", "a1", ""]), min_size=1, max_size=4))
def test_mapping_path_of_any_keys_matches_themselves(keys: list[str]) -> None:
    """A path that is written as a list of keys means these."""
    if "" in keys:
        if len(keys) > 1:
            with pytest.raises(Malformed):
                Path(keys)
    else:
        assert Path(keys).match(tuple(keys)) == {"path": ".".join(keys)}


def test_mapping_takes_numbers_booleans_and_known_words() -> None:
    """Nulls, other texts and what is ignored are left out; integers become floats."""
    rules = 'true = ["ON"]\nfalse = ["OFF"]\nignore = ["skip"]\n' + _EVERYTHING
    payload = {
        "n": 1,
        "b": True,
        "on": "ON",
        "off": "OFF",
        "text": "x",
        "null": None,
        "skip": {"n": 1},
        "deep": {"list": [1, {"n": 2}, "x"]},
    }

    values = _values(rules, payload)

    assert values == {
        "n": 1.0,
        "b": True,
        "on": True,
        "off": False,
        "deep.list.0": 1.0,
        "deep.list.1.n": 2.0,
    }
    assert type(values["n"]) is float


@pytest.mark.parametrize(
    ("rule", "value", "taken"),
    [
        ('as = "number"', "12.5", 12.5),
        ('as = "number"', "1_0", None),
        ('as = "number"', "x", None),
        ('as = "number"', True, None),
        ("scale = 0.5", 3, 1.5),
        ('as = "boolean"', 0, False),
        ('as = "boolean"', 1.0, True),
        ('as = "boolean"', 2, None),
        ('as = "boolean"\ntrue = ["yes"]', "yes", True),
        ('as = "boolean"', "yes", None),
        ('as = "text"', "x", "x"),
        ('as = "text"', "", None),
        ('as = "text"', 1, None),
        ('true = ["yes"]', "yes", True),
    ],
)
def test_mapping_rule_takes_its_kind(rule: str, value: object, taken: object) -> None:
    """What a rule does not take is left to the next, or left out."""
    values = _values(f'[[metrics]]\npath = "a"\n{rule}\n', {"a": value})

    assert values == ({} if taken is None else {"a": taken})


def test_mapping_first_rule_that_takes_a_value_names_it() -> None:
    """Rules are tried in order, each for its kind of value."""
    rules = '[[metrics]]\npath = "a"\nname = "word"\nas = "text"\n' + _EVERYTHING

    assert _values(rules, {"a": "x"}) == {"word": "x"}
    assert _values(rules, {"a": 1}) == {"a": 1.0}


def test_mapping_names_come_from_keys_and_topics() -> None:
    """Names that the topic gave and names of the path stand side by side."""
    rules = '[[metrics]]\npath = "{sensor}.t"\nname = "{room}.{sensor}"\n'

    assert _values(rules, {"x": {"t": 1}, "y": {"t": 2}}, room="hall") == {
        "hall.x": 1.0,
        "hall.y": 2.0,
    }
    with pytest.raises(Malformed, match="nothing is called 'room'"):
        _read(rules, {"x": {"t": 1}})


@pytest.mark.parametrize(
    ("payload", "names", "expected"),
    [
        (b"12.5", {REST: "relay/0"}, {"relay.0": 12.5}),
        (b"on\n", {REST: "relay/0"}, {"relay.0": True}),
        (b"true", {REST: "relay/0"}, {"relay.0": True}),
        (b'"on"', {REST: "relay/0"}, {"relay.0": True}),
        (b'{"p":1}', {REST: "relay/0"}, {"relay.0.p": 1.0}),
        (b"", {REST: "relay/0"}, {}),
        (b"null", {REST: "relay/0"}, {}),
        (b"anything", {REST: "skip/0"}, {}),
        (b"7", {"what": "power"}, {"power": 7.0}),
    ],
)
def test_mapping_topic_levels_are_the_first_keys(
    payload: bytes, names: dict[str, str], expected: dict[str, object]
) -> None:
    """A bare value on a topic is the value of the path that the topic spells."""
    rules = 'true = ["on"]\nignore = ["skip"]\n' + _EVERYTHING
    if REST not in names:
        rules += '[[metrics]]\npath = ""\nname = "{what}"\n'

    assert _values(rules, payload, **names) == expected


def test_mapping_unwraps_first_keys() -> None:
    """What stands below such a key counts as if it stood at the top, however often."""
    rules = 'unwrap = ["params"]\nignore = ["a"]\n' + _EVERYTHING

    payload = {"params": {"a": 1, "b": 2, "x": {"params": 3}}}

    assert _values(rules, payload) == {"b": 2.0, "x.params": 3.0}
    assert _values(rules, {"params": payload}) == {"b": 2.0, "x.params": 3.0}


@pytest.mark.parametrize(
    ("time", "value", "ts_ms"),
    [
        ("", 1_700_000_000.25, 1_700_000_000_250),
        ('unit = "ms"', 1_700_000_000_250, 1_700_000_000_250),
        ("", "2024-05-01T12:00:00Z", 1_714_564_800_000),
        ("", "2024-05-01T14:00:00+02:00", 1_714_564_800_000),
        ("", "2024-05-01T14:00:00", None),
        ('zone = "Europe/Berlin"', "2024-05-01T14:00:00", 1_714_564_800_000),
        ('zone = "Europe/Berlin"', "2024-05-01T12:00:00Z", 1_714_564_800_000),
        ("", None, None),
        ("", 12, None),
        ("", "1970-01-01T00:00:05Z", None),
        ("", "0001-01-01T00:00:00+14:00", None),
    ],
)
def test_mapping_reads_times(time: str, value: object, ts_ms: int | None) -> None:
    """Numbers, ISO 8601 with an offset or in a stated zone; else the arrival."""
    rules = f'[time]\npath = "at"\n{time}\n{_EVERYTHING}'

    decoded = _read(rules, {"at": value, "a": 1})

    assert [reading.ts_ms for reading in decoded.readings] == [ts_ms]
    assert decoded.readings[0].values == {"a": 1.0}


@pytest.mark.parametrize(
    ("time", "value"),
    [
        ("", "yesterday"),
        ("", True),
        ("", 1e300),
        ('without_zone = "refuse"', "2024-05-01T14:00:00"),
    ],
)
def test_mapping_refuses_other_times(time: str, value: object) -> None:
    """A time that cannot be meant refuses the reading: its values are not stored at a wrong one."""
    rules = f'[time]\npath = "at"\n{time}\n{_EVERYTHING}'

    decoded = _read(rules, {"at": value, "a": 1})

    assert (decoded.readings, [one.index for one in decoded.refused]) == ([], [0])


@pytest.mark.parametrize(
    "payload",
    [
        b"junk",
        b"{",
        b'{"a":NaN}',
        b"[" * 5_000,
        b"\xff\xfe",
        b'{"a":' * 20 + b"1" + b"}" * 20,
        json.dumps([1] * (MAX_KEYS + 1)).encode(),
        json.dumps({"a": 10**400}).encode(),
        b'{"a":{"b":1},"a.b":2}',
        b"x" * 10_000,
        json.dumps({"k" * (MAX_KEY_CHARS + 1): {"a": 1}}).encode(),
    ],
)
def test_mapping_unusable_payload_is_malformed(payload: bytes) -> None:
    """No JSON, too deep, too many, out of range, two values of one name, a key without end."""
    with pytest.raises(Malformed):
        _read(_EVERYTHING, payload)


@pytest.mark.parametrize(
    "names",
    [
        {REST: "/".join("a" * (MAX_DEPTH + 1))},
        {REST: "a" * (MAX_KEY_CHARS + 1)},
        {"room": "a" * (MAX_KEY_CHARS + 1)},
    ],
)
def test_mapping_topic_without_end_is_malformed(names: dict[str, str]) -> None:
    """What a topic gives has the limits of keys: it becomes part of every name."""
    with pytest.raises(Malformed, match="topic"):
        _read(_EVERYTHING, {"a": 1}, **names)


@pytest.mark.parametrize("key", ["x" * 121, " a", "a\n", ""])
def test_mapping_name_that_is_none_refuses_the_reading(key: str) -> None:
    """What a key makes a metric's name must be one."""
    decoded = _read(_EVERYTHING, {key: 1, "a": 2})

    assert (decoded.readings, len(decoded.refused)) == ([], 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = [", "mine.toml: "),
        ('nam = "a"', "unknown key 'nam', did you mean 'name'"),
        ('name = "a"\n[time]\npfad = "x"', "unknown key 'time.pfad'"),
        ('name = "a"\n[[metrics]]\npath = "a"\nsclae = 1', r"metrics\[0\]\.sclae.*'scale'"),
        ('name = "a"\n[[metrics]]\npath = 5', r"metrics\[0\]\.path"),
        ('name = "a"\n[[metrics]]\npath = "a"\nas = "int"', "int"),
        ('name = "A b"\n[[metrics]]\npath = "a"', "name"),
        ('name = "a"', "metrics"),
        ('name = "a"\nmetrics = []', "metrics"),
        ('name = "a"\n[[metrics]]\npath = "a..b"', "is no key"),
        ('name = "a"\n[[metrics]]\npath = "**.b"', "is no key"),
        ('name = "a"\n[[metrics]]\npath = "a*b*"', "is no key"),
        ('name = "a"\n[[metrics]]\npath = "{x}.{x}"', "no name twice"),
        ('name = "a"\n[[metrics]]\npath = "a"\nname = "{x"', "write names as"),
        ('name = "a"\n[[metrics]]\npath = "a"\ntrue = ["x"]\nfalse = ["x"]', "both"),
        ('name = "a"\n[time]\npath = "x"\nzone = "Nowhere/At_all"\n' + _EVERYTHING, "no time zone"),
        ('name = "a"\n[time]\npath = "x"\nzone = "../etc"\n' + _EVERYTHING, "no time zone"),
    ],
)
def test_mapping_file_that_is_wrong_is_named(text: str, message: str) -> None:
    """Errors name the file, the key, and the nearest that is known."""
    with pytest.raises(Malformed, match=r"mine\.toml") as caught:
        mapping_format(text, source="mine.toml")

    assert caught.match(message)


def test_mapping_checks_the_names_that_its_topic_must_give() -> None:
    """It is found out when a rule is made, not when the first message comes."""
    form = _format('[[metrics]]\npath = ""\nname = "{what}"\n')
    assert form.check_names is not None

    form.check_names({"what": ""})
    with pytest.raises(Malformed, match=r"needs a topic with \{what\} in it"):
        form.check_names({"where": ""})


def test_mapping_remembers_no_more_than_it_may() -> None:
    """Ever new keys, and ever new topics, do not fill the memory; results stay the same."""
    mapped = Mapped(parse('name = "a"\n' + _EVERYTHING, source="a"), source="a")
    decode = mapped.bound({})

    for start in range(0, 22_000, 1_000):
        decoded = decode(json.dumps({f"k{n}": n for n in range(start, start + 1_000)}).encode())
        assert len(decoded.readings[0].values) == 1_000
    for n in range(21_000):
        mapped.bound({"n": str(n)})(b'{"a":1}')

    assert _remembered(mapped) <= 20_001


def _remembered(mapped: Mapped) -> int:
    return sum(1 + len(root.below) for root in mapped._trees.values())


def test_formats_refuse_a_name_that_is_taken() -> None:
    """A mapping must not stand in for another format unseen."""
    with pytest.raises(Malformed, match="rename yours"):
        SHIPPED.extended([SHIPPED.named("shelly")])
    assert SHIPPED.extended([_format(_EVERYTHING)]).named("mine").name == "mine"
    assert isinstance(SHIPPED, Formats)

"""What clients send: decoded to an action, or refused without a word of it repeated."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.gaming.duel.game import Lay, Move, Shoot, Surrender, Wait
from modules.gaming.inputs import MAX_MESSAGE_BYTES, BadInput, decode

HOSTILE = [
    "",
    "no json",
    '{"type": "move"',
    b"\xff\xfe\x00",
    "[" * 1000,
    '{"type":' * 110,
    '{"type": "shoot", "x": ' + "[" * 500 + "]" * 500 + ', "y": 1}',
    "null",
    "[]",
    "1e999",
    '"move"',
    "{}",
    '{"type": "fly"}',
    '{"type": {"type": "move"}}',
    '{"type": "move"}',
    '{"type": "move", "direction": "up"}',
    '{"type": "move", "direction": "north", "distance": 5}',
    '{"type": "shoot", "x": 1.5, "y": 2}',
    '{"type": "shoot", "x": "1", "y": 2}',
    '{"type": "shoot", "x": true, "y": 2}',
    '{"type": "shoot", "x": NaN, "y": 2}',
    '{"type": "shoot", "x": 99999999999999999999999999, "y": 2}',
    '{"type": "wait", "__proto__": {}}',
    "x" * 10_000_000,
    b" " * 10_000_000,
    '{"type": "wait"}' + " " * 10_000_000,
    None,
    {"type": "wait"},
]


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ('{"type": "move", "direction": "north"}', Move("north")),
        ('{"type": "shoot", "x": 3, "y": 4}', Shoot(3, 4)),
        (b'{"type": "lay"}', Lay()),
        ('{"type": "wait"}', Wait()),
        ('{"type": "surrender"}', Surrender()),
    ],
)
def test_gaming_inputs_decode(text: str | bytes, action: object) -> None:
    """Each action has one spelling, as text or as bytes."""
    assert decode(text) == action


@pytest.mark.parametrize("message", HOSTILE, ids=lambda message: repr(message)[:30])
def test_gaming_inputs_refuse_everything_else(message: object) -> None:
    """Whatever else comes is refused with a short text."""
    with pytest.raises(BadInput) as refused:
        decode(message)

    assert 0 < len(str(refused.value)) < 120


def test_gaming_inputs_repeat_nothing() -> None:
    """An error holds nothing of the message, so it cannot carry it anywhere."""
    for message in ('{"type": "<script>"}', '{"<script>": 1, "type": "wait"}', "<script>"):
        with pytest.raises(BadInput) as refused:
            decode(message)

        assert "script" not in str(refused.value)


@given(st.one_of(st.text(max_size=2 * MAX_MESSAGE_BYTES), st.binary(max_size=MAX_MESSAGE_BYTES)))
def test_gaming_inputs_never_fail_otherwise(message: str | bytes) -> None:
    """No text and no bytes raise anything but `BadInput`."""
    with contextlib.suppress(BadInput):
        decode(message)

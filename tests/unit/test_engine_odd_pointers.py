"""What a JSON pointer finds in the data of an event, whatever that is."""

from typing import Any

import msgspec
import pytest

from tidegate.engine import values
from tidegate.engine.pointers import Pointer
from tidegate.errors import NonRetriable


@pytest.mark.parametrize(
    "part", [{None: 1, "b": 2}, {b"x": [{3: 4}]}, {(1, 2): {"a": None}}, [{1.5: 1}], b"\xff"]
)
def test_pointers_find_a_text_in_whatever_an_event_holds(part: Any) -> None:
    """Keys that JSON does not know make a text, too: lanes and limits never fail on an event."""
    data = values.decode(values.encode({"a": part}))

    assert Pointer("/a").text_in(data) == Pointer("/a").text_in({"a": part})


def test_pointers_keep_unequal_values_apart() -> None:
    """The order of keys does not matter, their values do."""
    pointer = Pointer("/a")

    assert pointer.text_in({"a": {None: 1, "b": 2}}) == pointer.text_in({"a": {"b": 2, None: 1}})
    assert pointer.text_in({"a": {None: 1}}) != pointer.text_in({"a": {None: 2}})


def test_values_refuse_foreign_extensions() -> None:
    """What could not be read again is refused where it is stored, not where it is handled."""
    with pytest.raises(NonRetriable, match="extension"):
        values.encode({"a": msgspec.msgpack.Ext(77, b"x")})

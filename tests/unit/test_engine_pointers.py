"""JSON pointers into events give a text for each value, equal for equal values."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.engine.pointers import Pointer, bounded
from tidegate.errors import Misconfigured

_EVENT = {"a": {"b": ["x", {"c/d": 7, "e~f": True}]}, "": 0, "n": None}


@pytest.mark.parametrize(
    ("pointer", "text"),
    [
        ("/a/b/0", "x"), ("/a/b/1/c~1d", "7"), ("/a/b/1/e~0f", "true"), ("/", "0"), ("/n", None),
        ("/a/b/9", None), ("/a/b/-1", None), ("/gone/x", None),
        ("/a/b", '["x",{"c/d":7,"e~f":true}]'),
    ],
)  # fmt: skip
def test_pointer_finds_what_stands_there(pointer: str, text: str | None) -> None:
    """Keys, indexes and escapes are followed; what is not there is None."""
    assert Pointer(pointer).text_in(_EVENT) == text


@pytest.mark.parametrize("pointer", ["a", "a/b", "/a~2", "/~"])
def test_pointer_mistakes_name_themselves(pointer: str) -> None:
    """What is no pointer is refused with an example."""
    with pytest.raises(Misconfigured, match="write for example '/tenantId'"):
        Pointer(pointer)


@given(st.dictionaries(st.text(max_size=3), st.integers(), max_size=5))
def test_pointer_texts_are_equal_for_equal_values(value: dict[str, int]) -> None:
    """The order in which a dict was made does not matter."""
    other = dict(reversed(list(value.items())))

    assert Pointer("/v").text_in({"v": value}) == Pointer("/v").text_in({"v": other})


@given(st.text(max_size=300), st.text(max_size=300))
def test_pointer_long_texts_stay_apart(left: str, right: str) -> None:
    """A text is cut at 200 characters, and two that differ are told apart all the same."""
    assert len(bounded(left)) <= 200
    assert (bounded(left) == bounded(right)) == (left == right)


def test_pointer_reads_a_text_as_no_list() -> None:
    """An index into a text finds nothing: a text is one value."""
    event: Any = {"name": "abc"}

    assert Pointer("/name/0").text_in(event) is None

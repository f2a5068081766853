"""From steps and dead events to what their pages show; what their form asks for."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.dashboard.dead_form import FormError, Wanted, form_fields, list_path, read_dead_form
from cloud.dashboard.dead_view import ALONE, dead_row, notice
from cloud.dashboard.payload_text import payload_text, visible_text
from cloud.dashboard.steps_view import sections, strangers
from tests.support.step_desk import STEPS, dead_event

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def test_payload_reads_as_indented_json() -> None:
    """Objects and lists are laid out one item a line; empty ones stay short."""
    shown = payload_text({"a": [1, True, None], "b": {}, "c": []}, limit=200)

    wanted = '{\n  "a": [\n    1,\n    true,\n    null\n  ],\n  "b": {},\n  "c": []\n}'
    assert (shown.text, shown.is_cut) == (wanted, False)


def test_payload_says_what_is_no_json() -> None:
    """Bytes, amounts and dates read as what they are, not as text that looks like JSON."""
    moment = datetime(2026, 1, 31, tzinfo=UTC)
    data = [b"\xde\xad", bytes(40), Decimal("12.50"), date(2026, 1, 31), moment]

    text = payload_text(data, limit=1_000).text

    assert "<2 bytes: de ad>" in text
    assert "<40 bytes: 00 00" in text
    assert "\N{HORIZONTAL ELLIPSIS}>" in text
    assert "<decimal 12.50>" in text
    assert "<date 2026-01-31>" in text
    assert "<datetime 2026-01-31 00:00:00+00:00>" in text


def test_payload_hides_nothing() -> None:
    """Characters that turn the text around, or that cannot be seen, are escaped in it."""
    text = payload_text({"\u202ekey": "a\x00\u200b\"'\\ü"}, limit=200).text

    assert text == '{\n  "\\u202ekey": "a\\u0000\\u200b\\"\'\\\\ü"\n}'


@given(_json, st.integers(1, 200))
def test_payload_is_never_longer_than_its_limit(data: Any, limit: int) -> None:
    """Whatever the data, the text is bounded, printable, and cut only where it is too long."""
    shown, whole = payload_text(data, limit=limit), payload_text(data, limit=10**9)

    assert len(shown.text) <= limit + 1
    assert shown.is_cut == (len(whole.text) > limit)
    assert all(c.isprintable() or c == "\n" for c in shown.text)


def test_payload_that_is_nested_without_end_is_cut() -> None:
    """Depth is bounded as length is."""
    data: list[Any] = []
    for _ in range(500):
        data = [data]

    assert "[\N{HORIZONTAL ELLIPSIS}]" in payload_text(data, limit=100_000).text


def test_long_stack_keeps_its_end() -> None:
    """Where the error was raised stands last, so the beginning is what goes."""
    shown = visible_text("first frame\nlast frame", limit=10, keep="end")

    assert shown == ("\N{HORIZONTAL ELLIPSIS}last frame", True)
    assert visible_text("a\x1b[1m\u202e\n", limit=10).text == "a\N{MIDDLE DOT}[1m\N{MIDDLE DOT}\n"


def test_steps_stand_by_what_begins_them() -> None:
    """Each type has its words; a topic leads to who hears it, outcomes stand in their order."""
    found = {section.type: section.rows for section in sections(STEPS, {"Charge": 4})}

    charge, ship = found["event"]
    assert charge.starts == ("order.placed",)
    assert charge.emits[0] == ("order.paid", ("Ship",))
    assert charge.outcomes == (("done", 1), ("retried", 2), ("dead", 4))
    assert (charge.waiting, charge.dead, ship.emits_any) == (3, 4, True)
    assert found["api"][0].starts == ("POST /orders",)
    assert found["api"][0].emits[0].hearers == ("Charge", "Ship")
    assert found["cron"][0].starts == ("15 2 * * * Asia/Tokyo",)
    assert found["mqtt"][0].starts == ("t/+/up",)
    assert "noop" not in found


def test_dead_events_of_no_step_are_named() -> None:
    """What a step has left that is no longer loaded is not lost from sight."""
    assert strangers(STEPS, {"Gone": 2, "Charge": 1, "tidegate.waits": 3}) == [
        ("Gone", 2),
        ("tidegate.waits", 3),
    ]


def test_data_of_the_runtime_itself_is_not_shown() -> None:
    """A dead event of a step `tidegate.*` has a mark, and no payload on any page."""
    row = dead_row(dead_event(1, "tidegate.waits", data={"token": "secret"}), ALONE)

    assert row.is_internal
    assert row.payload is None
    assert "secret" not in repr(row)


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"do": "redrive:7"}, Wanted("redrive", (7,), "", is_sure=False)),
        ({"do": "delete:7", "sure": "yes", "dead-8": "on"},
         Wanted("delete", (7,), "", is_sure=True)),
        ({"do": "redrive:selected", "dead-3": "on", "dead-9": "on", "dead-x": "on", "step": "A"},
         Wanted("redrive", (9, 3), "A", is_sure=False)),
        ({"do": "redrive:all", "step": "A"}, Wanted("redrive", None, "A", is_sure=False)),
    ],
)  # fmt: skip
def test_form_says_what_to_do_with_which(fields: dict[str, str], wanted: Wanted) -> None:
    """One, the marked ones, or all of a step; what confirms it asks for the same."""
    read = read_dead_form(fields)

    assert read == wanted
    assert read_dead_form(form_fields(read)) == wanted._replace(is_sure=True)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"do": "redrive"},
        {"do": "redrive:"},
        {"do": "drop:7"},
        {"do": "delete:-7"},
        {"do": "delete:0"},
        {"do": "delete:" + "9" * 400},
        {"do": "delete:selected"},
        {"do": "delete:selected", "dead-": "on", "dead-\u0663": "on"},
        {"do": "delete:all"},
        {"do": b"delete:all", "step": None},
    ],
)
def test_form_that_names_nothing_is_none(fields: dict[str, Any]) -> None:
    """Above all, nothing is ever taken for everything."""
    with pytest.raises(FormError):
        read_dead_form(fields)


def test_list_tells_how_it_went() -> None:
    """What had gone meanwhile is said; an unknown word says nothing."""
    assert notice({"done": "redriven", "count": 1, "gone": 2}) == (
        "1 event will be tried again with all attempts. 2 events had gone meanwhile."
    )
    assert notice({"done": "deleted", "count": 0}) == "No event deleted."
    assert notice({"done": "<script>"}) == ""
    assert list_path("a&b", done="away") == "/steps/dead?step=a%26b&done=away"

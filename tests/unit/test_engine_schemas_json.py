"""JSON Schemas judge values that JSON has no type for by what JSON would show of them."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from tidegate.engine.schemas import Checker, InvalidData

_VALUES: list[tuple[str, Any]] = [
    ("string", datetime(2026, 11, 24, tzinfo=UTC)),
    ("string", date(2026, 11, 24)),
    ("string", b"\xff\x00"),
    ("number", Decimal("1.10")),
]


@pytest.mark.parametrize(("kind", "value"), _VALUES)
def test_schemas_take_what_events_may_hold(kind: str, value: object) -> None:
    """Dates, bytes and Decimals fit text and number, and reach the handler as they are."""
    data = {"at": datetime(2026, 1, 1, tzinfo=UTC), "all": [value]}
    schema = {"type": "object", "properties": {"all": {"type": "array", "items": {"type": kind}}}}

    assert Checker(schema).check(data) is data


@pytest.mark.parametrize(("kind", "value"), _VALUES)
def test_schemas_refuse_them_where_another_type_is_due(kind: str, value: object) -> None:
    """Where the schema asks for another type, the flaw names the place."""
    data = {"at": datetime(2026, 1, 1, tzinfo=UTC), "all": [value]}
    schema = {"properties": {"all": {"items": {"type": "boolean"}}}}

    with pytest.raises(InvalidData, match="/all/0"):
        Checker(schema).check(data)


def test_schemas_refuse_what_is_no_json_at_all() -> None:
    """Keys that are no texts stay refused."""
    with pytest.raises(InvalidData, match="is no JSON"):
        Checker({"type": "object"}).check({1: b"x"})

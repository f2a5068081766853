"""Schemas: what they may refer to, and how much of the data a refusal repeats."""

from pathlib import Path


"""JSON Schemas judge values that JSON has no type for by what JSON would show of them."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from tidegate.engine.schemas import Checker, InvalidData
from tidegate.errors import Misconfigured


def test_schemas_fetch_nothing_by_http() -> None:
    """A schema that refers to an address is refused; nobody is asked."""
    with pytest.raises(Misconfigured, match="not in the schema"):
        Checker({"$ref": "http://127.0.0.1:9/s.json"})


def test_schemas_read_no_file(tmp_path: Path) -> None:
    """A schema that refers to a file is refused."""
    (tmp_path / "s.json").write_text('{"type": "string"}')

    with pytest.raises(Misconfigured, match="not in the schema"):
        Checker({"$ref": (tmp_path / "s.json").as_uri()})


def test_schemas_refer_to_their_own_parts() -> None:
    """References inside of a schema hold."""
    checker = Checker({"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer"}}})

    assert checker.check(1) == 1


def test_schemas_repeat_little_of_the_data() -> None:
    """A refusal of a megabyte does not quote it whole: it stands in answers and dead letters."""
    with pytest.raises(InvalidData) as refused:
        Checker({"type": "integer"}).check("x" * 1_000_000)

    assert len(str(refused.value)) < 1_000



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

"""Schemas: what they may refer to, and how much of the data a refusal repeats."""

from pathlib import Path

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

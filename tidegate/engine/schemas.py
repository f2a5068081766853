"""Check data against the schema of a step: JSON Schema as a dict, or a msgspec Struct. Pure."""

from typing import Any, NamedTuple

import jsonschema_rs
import msgspec

from tidegate.errors import Misconfigured, TidegateError


class Flaw(NamedTuple):
    """One thing that does not fit: a JSON pointer to it and what is expected."""

    pointer: str
    reason: str


class InvalidData(TidegateError):
    """The data does not fit the schema; `flaws` says where."""

    def __init__(self, flaws: list[Flaw]) -> None:
        super().__init__("; ".join(f"{flaw.pointer or '/'}: {flaw.reason}" for flaw in flaws))
        self.flaws = flaws


class Checker:
    """A compiled schema: `check(data)` returns the data as the handler gets it."""

    def __init__(self, schema: object) -> None:
        """Compile.

        Raises:
            Misconfigured: the schema is neither a valid JSON Schema nor a Struct.
        """
        self._struct: type[msgspec.Struct] | None = None
        self._validator: Any = None
        if isinstance(schema, type) and issubclass(schema, msgspec.Struct):
            self._struct = schema
        elif isinstance(schema, dict):
            self._validator = _compiled(schema)
        elif schema is not None:
            raise Misconfigured("a schema must be a JSON Schema (dict) or a msgspec Struct")

    def check(self, data: Any) -> Any:
        """Return the data (with a Struct: an instance of it).

        Raises:
            InvalidData: it does not fit.
        """
        if self._struct is not None:
            return _converted(data, self._struct)
        if self._validator is not None and not self._validator.is_valid(data):
            raise InvalidData([_flaw(error) for error in self._validator.iter_errors(data)])
        return data


def _compiled(schema: dict[str, Any]) -> object:
    try:
        return jsonschema_rs.validator_for(schema)
    except (ValueError, jsonschema_rs.ValidationError) as exc:
        raise Misconfigured(f"schema is not valid: {exc}") from exc


def _flaw(error: Any) -> Flaw:
    pointer = "".join(f"/{part}" for part in error.instance_path)
    return Flaw(pointer, error.message)


def _converted(data: object, struct: type[msgspec.Struct]) -> msgspec.Struct:
    if isinstance(data, struct):
        return data
    try:
        return msgspec.convert(data, struct)
    except msgspec.ValidationError as exc:
        reason, _, path = str(exc).partition(" - at `$")
        raise InvalidData([Flaw(_pointer(path), reason)]) from exc


def _pointer(path: str) -> str:
    """Turn msgspec's `.a[0].b`` into `/a/0/b`."""
    return path.rstrip("`").replace("[", ".").replace("]", "").replace(".", "/")

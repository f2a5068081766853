"""Check data against the schema of a step: JSON Schema as a dict, a Struct, or a model. Pure."""

from base64 import b64encode
from collections.abc import Iterable
from datetime import date
from itertools import islice
from typing import Any, NamedTuple

import jsonschema_rs
import msgspec

from tidegate.errors import Misconfigured, TidegateError

_MOST_FLAWS = 100
_MAX_REASON = 500


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
            Misconfigured: the schema is no valid JSON Schema, no Struct and no model.
        """
        self._struct: type[msgspec.Struct] | None = None
        self._validator: Any = None
        self._model: Any = None
        if isinstance(schema, type) and issubclass(schema, msgspec.Struct):
            self._struct = schema
        elif is_model(schema):
            self._model = schema
        elif isinstance(schema, dict):
            self._validator = _compiled(schema)
        elif schema is not None:
            raise Misconfigured(
                "a schema must be a JSON Schema (dict), a msgspec Struct or a pydantic model"
            )

    def check(self, data: Any) -> Any:
        """Return the data (with a Struct or a model: an instance of it).

        Raises:
            InvalidData: it does not fit.
        """
        if self._validator is not None:
            return _validated(data, self._validator)
        if self._struct is not None:
            return _converted(data, self._struct)
        return data if self._model is None else _modelled(data, self._model)


def is_model(schema: object) -> bool:
    """Tell whether a schema is a pydantic model, or a class that behaves like one."""
    return hasattr(schema, "model_validate") and hasattr(schema, "model_json_schema")


def json_schema_of(schema: Any) -> dict[str, Any]:
    """Return any kind of schema as JSON Schema; {} for None, which allows everything."""
    if schema is None:
        return {}
    if isinstance(schema, dict):
        return schema
    if is_model(schema):
        declared: dict[str, Any] = schema.model_json_schema()
        return declared
    return msgspec.json.schema(schema)


def _compiled(schema: dict[str, Any]) -> object:
    try:
        return jsonschema_rs.validator_for(schema, retriever=_refuse)
    except (ValueError, jsonschema_rs.ValidationError) as exc:
        raise Misconfigured(f"schema is not valid: {exc}") from exc


def _refuse(uri: str) -> Any:
    """Fetch nothing: else a schema would read any file and any address that this process can."""
    raise ValueError(f"'{uri}' is not in the schema; copy it into its $defs")


def _validated(data: Any, validator: Any) -> Any:
    try:
        flaws = _flaws_of(data, validator)
    except ValueError:
        # Rare, so that what is plain JSON need not be copied.
        flaws = _flaws_of_view(data, validator)
    if flaws:
        raise InvalidData(flaws)
    return data


def _flaws_of(data: Any, validator: Any) -> list[Flaw]:
    if validator.is_valid(data):
        return []
    return [_flaw(error) for error in islice(validator.iter_errors(data), _MOST_FLAWS)]


def _flaws_of_view(data: Any, validator: Any) -> list[Flaw]:
    try:
        return _flaws_of(_json_view(data), validator)
    except (ValueError, RecursionError) as exc:
        # Keys that are no texts, foreign objects: nothing that JSON Schema could speak about.
        raise InvalidData([Flaw("", f"is no JSON: {exc}")]) from exc


def _json_view(data: Any) -> Any:
    """Return the data as an answer would show it: dates as ISO text, bytes as base64.

    A Decimal stays: the validator takes it for a number.
    """
    if isinstance(data, dict):
        return {key: _json_view(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_json_view(item) for item in data]
    if isinstance(data, date):
        return data.isoformat()
    return b64encode(data).decode() if isinstance(data, bytes) else data


def _modelled(data: Any, model: Any) -> Any:
    try:
        return model.model_validate(data)
    except ValueError as exc:
        # A pydantic ValidationError; it is not imported, so that pydantic need not be there.
        errors = exc.errors() if hasattr(exc, "errors") else [{"msg": str(exc)}]
        raise InvalidData([_model_flaw(error) for error in errors[:_MOST_FLAWS]]) from exc


def _model_flaw(error: dict[str, Any]) -> Flaw:
    return Flaw(_joined(error.get("loc", ())), _cut(str(error.get("msg", "does not fit"))))


def _joined(path: Iterable[object]) -> str:
    """Return a JSON pointer (RFC 6901)."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


def _flaw(error: Any) -> Flaw:
    return Flaw(_joined(error.instance_path), _cut(error.message))


def _cut(reason: str) -> str:
    """Shorten what quotes the data: that may be megabytes, and stands in answers and letters."""
    return reason if len(reason) <= _MAX_REASON else f"{reason[:_MAX_REASON]}…"


def _converted(data: object, struct: type[msgspec.Struct]) -> msgspec.Struct:
    if isinstance(data, struct):
        return data
    try:
        return _convert(data, struct)
    except msgspec.ValidationError as exc:
        reason, _, path = str(exc).partition(" - at `$")
        raise InvalidData([Flaw(_pointer(path), reason)]) from exc


def _convert(data: object, struct: type[msgspec.Struct]) -> msgspec.Struct:
    try:
        return msgspec.convert(data, struct)
    except msgspec.ValidationError:
        # To JSON Schema 2.0 is an integer.
        return msgspec.convert(_with_integers(data), struct)


def _with_integers(data: Any) -> Any:
    """Return the data with its whole floats as integers; those count as floats all the same."""
    if isinstance(data, float) and data.is_integer():
        return int(data)
    if isinstance(data, dict):
        return {key: _with_integers(value) for key, value in data.items()}
    return [_with_integers(item) for item in data] if isinstance(data, list) else data


def _pointer(path: str) -> str:
    """Turn msgspec's `.a[0].b`` into `/a/0/b`."""
    return path.rstrip("`").replace("[", ".").replace("]", "").replace(".", "/")

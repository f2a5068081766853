"""Configuration of any deployable: defaults, then one TOML file, then the environment.

A section is a frozen `msgspec.Struct`; its fields are the keys, their types are checked, and a
key that does not exist is an error that names the nearest one. Environment variables are
`TIDEGATE__SECTION__KEY`, their values TOML literals or plain text.
"""

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec

from tidegate.errors import Misconfigured

PREFIX = "TIDEGATE__"
SECRET_MASK = "********"  # noqa: S105 - the mask itself

T = TypeVar("T", bound=msgspec.Struct)


class Secret:
    """A text that never shows in logs, errors or `repr`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text."""
        return self._value

    def __repr__(self) -> str:
        """Hide the text."""
        return f"Secret({SECRET_MASK!r})"


def load(kind: type[T], path: Path | None = None, environ: Mapping[str, str] | None = None) -> T:
    """Read the configuration of one deployable.

    Raises:
        Misconfigured: the file cannot be read or parsed, a key is unknown, or a value has the
            wrong type; the message names the file or variable, the key, and what to do.
    """
    merged = _read_toml(path) if path else {}
    source = str(path) if path else "configuration"
    _refuse_unknown(kind, merged, source)
    for name, keys, value in _overrides(os.environ if environ is None else environ):
        override = _nested(keys, value)
        _refuse_unknown(kind, override, name)
        merged = _merge(merged, override)
    return _convert(kind, merged, source)


def show(settings: msgspec.Struct) -> dict[str, Any]:
    """Return the settings as plain data with every secret masked."""
    plain = msgspec.to_builtins(settings, enc_hook=_encode_special)
    return plain if isinstance(plain, dict) else {}


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as exc:
        raise Misconfigured(f"{path}: no such file") from exc
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise Misconfigured(f"{path}: {exc}") from exc


def _overrides(environ: Mapping[str, str]) -> Iterator[tuple[str, list[str], Any]]:
    for name in sorted(environ):
        if name.startswith(PREFIX):
            keys = name[len(PREFIX) :].lower().split("__")
            yield name, keys, _literal(environ[name])


def _literal(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _nested(keys: list[str], value: Any) -> dict[str, Any]:
    for key in reversed(keys):
        value = {key: value}
    return dict(value)


def _merge(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        nested = isinstance(value, dict) and isinstance(below, dict)
        merged[key] = _merge(below, value) if nested and below is not None else value
    return merged


def _refuse_unknown(kind: Any, raw: Any, source: str, at: str = "") -> None:
    struct = _struct_in(kind)
    if isinstance(raw, list):
        for index, item in enumerate(raw):
            _refuse_unknown(kind, item, source, f"{at.rstrip('.')}[{index}].")
        return
    if struct is None or not isinstance(raw, dict):
        return
    hints = get_type_hints(struct)
    known = dict(zip(struct.__struct_encode_fields__, struct.__struct_fields__, strict=True))
    for key, value in raw.items():
        if key not in known:
            raise Misconfigured(f"{source}: unknown key '{at}{key}'{_nearest(key, list(known))}")
        _refuse_unknown(hints[known[key]], value, source, f"{at}{key}.")


def _nearest(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f", did you mean '{close[0]}'?" if close else f"; known are: {', '.join(known)}"


def _struct_in(kind: Any) -> type[msgspec.Struct] | None:
    """Return the Struct inside `X`, `X | None` or `list[X]`, if there is one."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    return next((found for arg in get_args(kind) if (found := _struct_in(arg))), None)


def _convert(kind: type[T], raw: dict[str, Any], source: str) -> T:
    try:
        return msgspec.convert(raw, kind, dec_hook=_decode_special, strict=True)
    except msgspec.ValidationError as exc:
        raise Misconfigured(f"{source}: {str(exc).replace(' - at `$.', ' - at `')}") from exc


def _decode_special(kind: type, raw: Any) -> Any:
    if kind in (Secret, Path) and isinstance(raw, str):
        return kind(raw)
    raise ValueError(f"Expected `str`, got `{type(raw).__name__}`")


def _encode_special(value: Any) -> Any:
    return SECRET_MASK if isinstance(value, Secret) else str(value)

"""What is wrong with a line of line protocol, in words and without quoting it. Pure."""

import re

from wire.codecs.line.syntax import BARE, BLANKS, MEASUREMENT, NAME, TAG_VALUE, TEXT

_MEASUREMENT = re.compile(MEASUREMENT)
_NAME = re.compile(NAME)
_TAG_VALUE = re.compile(TAG_VALUE)
_TEXT, _BARE = re.compile(TEXT), re.compile(BARE)
_NO_MORE = re.compile(rf"{BLANKS}\r?\n?\Z")
_SPACE = re.compile(rf" {BLANKS}")


def fault_of(line: str) -> str:
    """Return why a line is not well formed: the first fault from its left."""
    measurement = _MEASUREMENT.match(line)
    if measurement is None:
        return "line has no measurement"
    at, place = measurement.end(), 0
    while line[at : at + 1] == ",":
        place += 1
        fault, at = _tag_fault(line, at + 1)
        if fault:
            return f"tag {place} {fault}"
    space = _SPACE.match(line, at)
    if space is None or _NO_MORE.match(line, space.end()):
        return "line has no fields"
    return _fields_fault(line, space.end())


def _tag_fault(line: str, at: int) -> tuple[str, int]:
    """Return what is wrong with a tag ('' for nothing), and where it ends."""
    name = _NAME.match(line, at)
    if name is None:
        return "has no name", at
    at = name.end() + 1
    if line[at - 1 : at] != "=":
        return "has no value", at
    value = _TAG_VALUE.match(line, at)
    if value is None:
        return "has an empty value", at
    at = value.end()
    return ("has an = in its value that is not escaped" if line[at : at + 1] == "=" else ""), at


def _fields_fault(line: str, at: int) -> str:
    place = 0
    while True:
        place += 1
        fault, at = _field_fault(line, at)
        if fault:
            return f"field {place} {fault}"
        if line[at : at + 1] != ",":
            break
        at += 1
    if line[at : at + 1] == " ":
        return "timestamp is not a whole number, or something follows it"
    return f"field {place} has something behind its value"


def _field_fault(line: str, at: int) -> tuple[str, int]:
    """Return what is wrong with a field ('' for nothing), and where it ends."""
    name = _NAME.match(line, at)
    if name is None:
        return "has no name", at
    at = name.end() + 1
    if line[at - 1 : at] != "=":
        return "has no value", at
    is_text = line[at : at + 1] == '"'
    value = (_TEXT if is_text else _BARE).match(line, at)
    if value is None:
        return "has a quote that does not end" if is_text else "is empty", at
    return "", value.end()

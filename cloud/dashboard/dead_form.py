"""Reads the form on dead events: what to do, with which. Pure."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple
from urllib.parse import urlencode

Action = Literal["redrive", "delete"]

_ACTIONS: Mapping[str, Action] = {"redrive": "redrive", "delete": "delete"}
_MARK = "dead-"
_MOST_IDS = 1_000
_MOST_DIGITS = 18
_MOST_STEP_CHARS = 200


class FormError(ValueError):
    """The form asks for nothing that can be done."""


class Wanted(NamedTuple):
    """What a person asked for: some events by their ids, or all of a step (`ids` is None).

    `step` is the step that the list was narrowed to, "" for none.
    """

    action: Action
    ids: tuple[int, ...] | None
    step: str
    is_sure: bool


def read_dead_form(fields: Mapping[str, Any]) -> Wanted:
    """Return what a sent form asks for: `do` is `redrive` or `delete`, of what after a colon.

    Raises:
        FormError: it names nothing.
    """
    word, _, of = str(fields.get("do", "")).partition(":")
    action, step = _ACTIONS.get(word), str(fields.get("step", ""))[:_MOST_STEP_CHARS]
    if action is None:
        raise FormError("no such action")
    ids = _ids(fields, of)
    if ids == () or (ids is None and not step):
        raise FormError("nothing is selected")
    return Wanted(action, ids, step, is_sure=fields.get("sure") == "yes")


def form_fields(wanted: Wanted) -> dict[str, str]:
    """Return the fields with which a form asks for the same, surely."""
    of = "all" if wanted.ids is None else "selected"
    marks = {f"{_MARK}{dead_id}": "on" for dead_id in wanted.ids or ()}
    return {"do": f"{wanted.action}:{of}", "step": wanted.step, "sure": "yes", **marks}


def list_path(step: str, **said: str | int) -> str:
    """Return the path of the list, narrowed to a step if there is one."""
    query = urlencode(({"step": step} if step else {}) | said)
    return f"/steps/dead?{query}" if query else "/steps/dead"


def id_of(text: str) -> int | None:
    """Return an id as its text says it, None when no event can have it."""
    is_one = text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS
    return int(text) if is_one and int(text) > 0 else None


def _ids(fields: Mapping[str, Any], of: str) -> tuple[int, ...] | None:
    if of == "all":
        return None
    marked = (name[len(_MARK) :] for name in fields if name.startswith(_MARK))
    found = {id_of(text) for text in (marked if of == "selected" else (of,))}
    return tuple(sorted((one for one in found if one is not None), reverse=True)[:_MOST_IDS])

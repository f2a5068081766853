"""The page on the step contract: keys, calls, answers and limits, as the code has them."""

import inspect
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from scripts.pages import step_answers, step_limits
from scripts.pages import step_words as words
from scripts.pages.markdown import code, prose, table
from tidegate import errors
from tidegate.auth.middleware import MIDDLEWARE_NAMES
from tidegate.contract import Context, Logger, State, StepConfig, Stream
from tidegate.definition import rules as config_rules
from tidegate.definition.discovery import GLOBALS_FILE
from tidegate.definition.normalise import normalise
from tidegate.http.request import PARTS
from tidegate.http.websocket import WebSocket
from tidegate.running.providing import FILE as RESOURCES_FILE

_HEAD = ("Key", "Type", "Default", "Meaning")
_CALLS = (
    ("ctx", Context), ("ctx.state", State), ("ctx.streams[name]", Stream), ("ctx.logger", Logger),
)  # fmt: skip
_RAISED = (errors.NonRetriable, errors.RetryAfter, errors.HTTPError, errors.UndeclaredEmit)


def page() -> Iterator[str]:
    """Return the lines of the page."""
    yield "# The step contract, key by key"
    yield ""
    yield "How these play together: [how a step runs](../explanation/steps.md),"
    yield "[how requests run](../explanation/http.md)."
    for section in (_files, _config, _older, _request, _context, _answers, _errors, _limits):
        yield ""
        yield from section()


def _files() -> Iterator[str]:
    yield "## Files"
    yield ""
    yield from table(
        ("File", "What it holds"),
        [
            ("`*_step.py`", "`config` and `handler`; in any folder below the one of `--steps`."),
            (code(GLOBALS_FILE), "Names that the step files beside it may use without importing."),
            (
                code(RESOURCES_FILE),
                "`resources(data_dir)`, an async context manager that yields objects by name.",
            ),
        ],
    )
    yield ""
    yield "A handler is `async def`, or `def`, which runs in a thread and uses `ctx.sync`. It takes"
    yield "`(input, ctx)`, fewer, or more by keyword: `async def handler(req, ctx, *, mailer)` is"
    yield f"given the `mailer` of `{RESOURCES_FILE}`. Other modules of its folder can be imported."


def _config() -> Iterator[str]:
    _same(set(words.KEYS), {name for name, _, _ in _keys()}, "a key")
    yield "## `config`"
    yield ""
    yield "Keys are written in camelCase or snake_case. An unknown one, and one of another type of"
    yield "step, is an error at the start. Times are seconds. A schema is JSON Schema, a"
    yield "`msgspec.Struct` or a pydantic model."
    yield ""
    yield from _table_of(config_rules.EVERYWHERE, "")
    for kind, starts in words.STARTS.items():
        yield ""
        yield f"### {code(kind)}"
        yield ""
        yield starts
        yield ""
        yield from _table_of(config_rules.ALLOWED[kind], kind)
    yield ""
    yield f"Methods: {', '.join(map(code, config_rules.METHODS))}. Middleware by name:"
    yield f"{', '.join(map(code, MIDDLEWARE_NAMES))} ([what they do](../how-to/authenticate.md))."


def _table_of(keys: set[str], kind: str) -> Iterator[str]:
    needed = config_rules.NEEDED.get(kind, ()) if kind else ("type", "name")
    rows = [
        (
            code(_camel(name)),
            _type_text(name, hint),
            "required" if name in needed else _default_text(default),
            words.KEYS[name],
        )
        for name, hint, default in _keys()
        if name.partition(".")[0] in keys
    ]
    yield from table(_HEAD, rows)


def _keys() -> Iterator[tuple[str, Any, Any]]:
    """Yield every key with its type and default; those of a section follow it."""
    for name, hint, default in _fields(StepConfig):
        yield name, hint, default
        section = next((arg for arg in (hint, *get_args(hint)) if _is_struct(arg)), None)
        if section is not None:
            for key, key_hint, key_default in _fields(section):
                yield f"{name}.{key}", key_hint, key_default


def _fields(kind: type[msgspec.Struct]) -> Iterator[tuple[str, Any, Any]]:
    hints = get_type_hints(kind)
    for field in msgspec.structs.fields(kind):
        yield field.name, hints[field.name], field.default


def _is_struct(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)


def _type_text(name: str, hint: Any) -> str:
    bound = ""
    if name in config_rules.MOST:
        bound = f", 1 to {config_rules.MOST[name]:,}"
    elif name in config_rules.ABOVE_ZERO_S:
        bound = f" > 0, ≤ {config_rules.MAX_S:,}"
    elif name in config_rules.FROM_ZERO_S:
        bound = f" ≥ 0, ≤ {config_rules.MAX_S:,}"
    return (words.TYPES.get(name) or _plain_type(hint)) + bound


def _plain_type(hint: Any) -> str:
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _plain_type(args[0])
    if origin is Literal:
        return " or ".join(code(f'"{arg}"') for arg in args)
    if origin is Union or (args and type(None) in args):
        return " or ".join(_plain_type(arg) for arg in args if arg is not type(None))
    if args:
        return "list of texts"
    names = {str: "text", float: "number", int: "whole number", bool: "`True` or `False`"}
    return "dict" if _is_struct(hint) else names[hint]


def _default_text(default: Any) -> str:
    if default is msgspec.NODEFAULT:
        return "required"
    if default is None or default in ("", ()) or _is_struct(type(default)):
        return ""
    return code(f'"{default}"' if isinstance(default, str) else f"{default!r}".removesuffix(".0"))


def _older() -> Iterator[str]:
    yield "### Older spellings"
    yield ""
    rows = []
    for path, value in words.OLDER.items():
        key, nested = path, value
        outer, *inner = path.split(".")
        for part in reversed(inner):
            nested = {part: nested}
        base = {"type": "event", "name": "x", "subscribes": ["x"]}
        key = _differences(normalise(base), normalise({**base, outer: nested}))
        rows.append((code(f"{path}: {value}"), code(key)))
    yield from table(("Written", "Is"), rows)


def _differences(one: msgspec.Struct, other: msgspec.Struct, within: str = "") -> str:
    found = []
    for name in one.__struct_fields__:
        was, now = getattr(one, name), getattr(other, name)
        if was != now and isinstance(now, msgspec.Struct):
            found.append(_differences(was, now, f"{name}."))
        elif was != now:
            found.append(f"{within}{_camel(name)}: {now}")
    return ", ".join(found)


def _request() -> Iterator[str]:
    _same(set(words.PARTS), set(PARTS), "a part of req")
    yield "## `req`"
    yield ""
    yield "A dict that also reads as attributes; middleware may change it."
    yield ""
    yield from table(("Part", "What it is"), [(code(name), words.PARTS[name]) for name in PARTS])
    yield ""
    yield from _calls("req.ws", WebSocket, leave_out=("start_over",))
    yield ""
    yield "`async for message in req.ws` goes through the messages (a text, or bytes)."


def _context() -> Iterator[str]:
    yield "## `ctx`"
    for name, kind in _CALLS:
        yield ""
        yield from _calls(name, kind)


def _calls(name: str, kind: type, *, leave_out: tuple[str, ...] = ()) -> Iterator[str]:
    rows = []
    for member, thing in vars(kind).items():
        if member.startswith("_") or member in leave_out:
            continue
        if isinstance(thing, property):
            rows.append((code(f"{name}.{member}"), _text_of(thing)))
        elif inspect.isfunction(thing):
            wait = "await " if inspect.iscoroutinefunction(thing) else ""
            rows.append((code(f"{wait}{name}.{member}{_parameters(thing)}"), _text_of(thing)))
    yield from table(("Call", "What it does"), rows)


def _parameters(function: Any) -> str:
    signature = inspect.signature(function)
    bare = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for name, parameter in signature.parameters.items()
        if name != "self"
    ]
    return str(inspect.Signature(bare))


def _text_of(thing: object) -> str:
    """Return a docstring as one paragraph; what it raises is put into words."""
    text = re.sub(r"\n\s*Raises:\s*\n", "\nRaises ", prose(thing))
    return re.sub(r"Raises (\w+):", r"Raises `\1`:", " ".join(text.split()))


def _answers() -> Iterator[str]:
    yield "## Answers of api steps"
    yield ""
    yield from step_answers.lines()
    yield ""
    yield "A handler that is an async generator streams what it yields: texts, bytes, or JSON, one"
    yield "a line; or server-sent events (`{event, id, retry, data}`) if the request accepts those."
    yield 'A batch handler may return `{"failed": [indexes]}`: only those are tried again. What'
    yield "other handlers return is dropped."


def _errors() -> Iterator[str]:
    yield "## Errors to raise"
    yield ""
    yield "From `tidegate`. Any other exception is a failure: 500 for a request, else a retry."
    yield ""
    yield from table(("Error", "What it means"), map(_raised, _RAISED))


def _raised(kind: type[Exception]) -> tuple[str, str]:
    own = "__init__" in vars(kind)
    return code(kind.__name__ + (_parameters(kind) if own else "(text)")), _text_of(kind)


def _limits() -> Iterator[str]:
    yield "## Limits"
    yield ""
    yield from step_limits.lines()


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)


def _same(written: set[str], found: set[str], what: str) -> None:
    """Raise `ValueError` when words and code differ."""
    if written != found:
        names = ", ".join(sorted(written ^ found))
        raise ValueError(f"scripts/pages/step_words.py and the code differ in {what}: {names}")

"""The table of answers: examples of what handlers return, and what they are answered as."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.pages.markdown import code, table
from scripts.pages.step_words import ANSWERS
from tidegate.http.answer import Answer, Delegated, Streamed, to_answer


async def _pieces() -> AsyncIterator[str]:
    yield "piece"


_NAMES = {"UTC": UTC, "datetime": datetime, "Decimal": Decimal, "pieces": _pieces}


def lines() -> Iterator[str]:
    """Return the lines of the table."""
    with TemporaryDirectory() as folder:
        rows = [_row(source, Path(folder)) for source in ANSWERS]
    yield from table(("Returned", "Status", "Headers", "Body"), rows)


def _row(source: str, folder: Path) -> tuple[str, ...]:
    def path(name: str) -> Path:
        """Make the file that an example answers with."""
        (folder / name).write_bytes(b"")
        return folder / name

    answer = to_answer(eval(source, {**_NAMES, "Path": path}))
    return code(source), str(answer.status), _headers_of(answer), _body_of(answer)


def _headers_of(answer: Answer | Delegated | Streamed) -> str:
    pairs = answer.response.raw_headers if isinstance(answer, Delegated) else answer.headers
    shown = ("content-type", "location", "set-cookie")
    texts = [(name.decode(), value.decode()) for name, value in pairs]
    return ", ".join(code(f"{name}: {value}") for name, value in texts if name in shown)


def _body_of(answer: Answer | Delegated | Streamed) -> str:
    if isinstance(answer, Delegated):
        return "the file"
    if isinstance(answer, Streamed):
        return "the pieces"
    try:
        return code(answer.body.decode("ascii")) if b"\x00" not in answer.body else "the bytes"
    except UnicodeDecodeError:
        return "the bytes"

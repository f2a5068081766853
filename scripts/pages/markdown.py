"""Markdown as the reference needs it: tables and docstrings."""

import inspect
from collections.abc import Iterable, Iterator, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Return the lines of a table; a pipe in a cell is escaped."""
    yield _line(head)
    yield _line(["---"] * len(head))
    for row in rows:
        yield _line(row)


def code(text: object) -> str:
    """Return a text set as code, '' when it is empty."""
    return f"`{text}`" if str(text) else ""


def prose(thing: object) -> str:
    """Return the docstring of a class or function as paragraphs of Markdown."""
    return inspect.cleandoc(inspect.getdoc(thing) or "")


def first_line(thing: object) -> str:
    """Return the first line of a docstring."""
    return prose(thing).partition("\n")[0]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

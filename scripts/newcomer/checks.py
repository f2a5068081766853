"""The smoke run's checks: timed, bounded, one line each."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
_PAUSE_S = 0.2


class CheckFailed(Exception):
    """A check did not hold; the message says what was expected and what was there."""


def require(holds: object, message: str) -> None:
    """Raise `CheckFailed` unless `holds`."""
    if not holds:
        raise CheckFailed(message)


@contextmanager
def check(what: str) -> Iterator[None]:
    """Run one check and print its line: a mark, the seconds, what was checked."""
    started = time.monotonic()
    try:
        yield
    except BaseException:
        print(f"  ✗ {time.monotonic() - started:6.1f} s  {what}", flush=True)
        raise
    print(f"  ✓ {time.monotonic() - started:6.1f} s  {what}", flush=True)


def pause(seconds: float) -> None:
    """Let the other side go on."""
    threading.Event().wait(seconds)


def until(look: Callable[[], T | None], *, timeout_s: float, what: str) -> T:
    """Look until there is something to see and return it.

    Raises:
        CheckFailed: it was not there within `timeout_s` seconds.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise CheckFailed(f"{what}: not within {timeout_s:.0f} s")
        pause(_PAUSE_S)

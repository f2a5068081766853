"""Names of traces and invocations: unique, no secrets; the system's dice cost ten times more."""

from random import Random

_dice = Random()  # noqa: S311


def new_trace_id() -> str:
    """Return a new W3C trace id."""
    return f"{_dice.getrandbits(128):032x}"


def new_key() -> str:
    """Return a text that no other invocation has."""
    return f"{_dice.getrandbits(96):024x}"

"""Groups of the state that are the runtime's own: password hashes and tokens are in there. Pure."""

_OWN = "tidegate."
AFTER_OWN = _OWN + chr(0x10FFFF)
"""Comes after all of them in any list, or is one of the last."""


def is_own(group: str) -> bool:
    """Tell whether a group is the runtime's own: neither shown nor set from outside."""
    return group.startswith(_OWN)

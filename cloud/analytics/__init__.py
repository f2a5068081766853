"""Online detectors: every stored point is compared with its own series' past.

`detector` and `bank` load numpy, so they are imported when they are asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cloud.analytics.ensemble import Bank as bank  # noqa: N813 - public names are lower case
    from cloud.analytics.ensemble import Detector as detector  # noqa: N813

__all__ = ["bank", "detector"]

_HOMES = {"bank": "Bank", "detector": "Detector"}


def __getattr__(name: str) -> object:
    """Return the class that an exported name stands for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("cloud.analytics.ensemble"), _HOMES[name])

"""Which core runs what: what is measured has one to itself, what it talks to has another.

Linux only. Affinity is inherited: whatever is started inside of `on_core` stays on that core.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

_ALLOWED = sorted(os.sched_getaffinity(0))
MEASURED = _ALLOWED[0]
"""The core of the engine or HTTP server that is measured, and of the producer in its process."""
OTHER = _ALLOWED[-1]
"""The core of database servers, Redis and the HTTP load; the same one on a one-core machine."""


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Pin what is started inside to one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)

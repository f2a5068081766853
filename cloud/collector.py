"""Python's cycle collector, set for a process that holds a fleet in memory.

What is known of 100,000 devices is some million objects that stay, and none of it is a cycle. By
default a few dozen batches are reason enough to look at all of them: a stop of a second, and a
third of the time under load. What is young is looked at as ever, what is old far less often.
"""

import gc

# New objects until the youngest are looked at; how often that, until the middle ones are; how
# often these, until all are.
_THRESHOLDS = (5_000, 10, 500)


def calm_collector() -> None:
    """Look at old objects rarely, and never at those that are there now. Once, at the start."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)

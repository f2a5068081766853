"""Python's interpreter, set for a process that holds a fleet in memory and writes to disks.

What is known of 100,000 devices is some million objects that stay, and none of it is a cycle. By
default a few dozen batches are reason enough to look at all of them: a stop of a second, and a
third of the time under load. What is young is looked at as ever, what is old far less often.

A thread that comes back from a disk or a socket waits for the interpreter's lock as long as the
others may hold it, 5 ms by default: many times a batch, and longer than what it waited for.
"""

import gc
import sys

# New objects until the youngest are looked at; how often that, until the middle ones are; how
# often these, until all are.
_THRESHOLDS = (5_000, 10, 500)
_SWITCH_S = 0.0002


def tune_interpreter() -> None:
    """Look at old objects rarely, never at those that are there now; take turns often.

    Once, at the start.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    sys.setswitchinterval(_SWITCH_S)

"""The agent's delays between attempts, from its two settings. Pure."""

import random

from wire.backoff import Backoff


def reconnecting(rng: random.Random, *, min_s: float, max_s: float) -> Backoff:
    """Return delays from `min_s` up to a step that begins at twice that and ends at `max_s`.

    They never come below `min_s`, so that no agent hammers a broker that accepts it and hangs up.
    """
    return Backoff(rng, base_s=2 * min_s, cap_s=max_s, floor_s=min_s)

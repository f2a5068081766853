"""When a failed event is due again. Pure."""

from random import Random

from tidegate.contract import Retry
from wire.backoff import ceiling_s


def delay_s(policy: Retry, attempt: int, rng: Random) -> float | None:
    """Return the wait after the failed attempt (counted from 1), or None to dead-letter.

    The n-th retry waits min(cap, base * 2 ** (n - 1)) seconds, with full jitter from 0.
    """
    if attempt >= policy.attempts:
        return None
    failures = 1 if policy.backoff == "fixed" else attempt
    wait = ceiling_s(failures, base_s=policy.base, cap_s=policy.cap)
    return rng.uniform(0, wait) if policy.jitter else wait

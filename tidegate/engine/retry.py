"""When a failed event is due again. Pure."""

from random import Random

from tidegate.contract import Retry


def delay_s(policy: Retry, attempt: int, rng: Random) -> float | None:
    """Return the wait after the failed attempt (counted from 1), or None to dead-letter.

    The n-th retry waits min(cap, base * 2 ** (n - 1)) seconds, with full jitter from 0.
    """
    if attempt >= policy.attempts:
        return None
    growth = 1.0 if policy.backoff == "fixed" else 2.0 ** min(attempt - 1, 60)
    wait = min(policy.cap, policy.base * growth)
    return rng.uniform(0, wait) if policy.jitter else wait

"""How long to stay away from the broker after a connection has ended, and what it said. Pure."""

from random import Random

from wire.backoff import Backoff

BASE_S = 0.5
CAP_S = 30.0
# A connection that ended sooner has not shown that the next one will do better.
STEADY_S = 5.0
# So many of these in a row, and something ends them: Mosquitto 2.0.11 takes a session over
# without a word, in MQTT 5 too.
_SUSPICIOUS = 3

TAKEN_OVER = 0x8E
# What an operator can do about a reason of MQTT 5; its name alone does not say it.
_ADVICE = {
    0x82: "it holds that we break the protocol",
    0x87: "check our account and the broker's ACL",
    0x8D: "it heard nothing of us for its keep-alive time",
    TAKEN_OVER: "another client uses our client id: give every ingester its own"
    " ([ingest] client_id) and nobody else one of theirs",
    0x93: "it holds that we have too many messages unacknowledged",
    0x95: "a message is larger than it takes",
    0x97: "we exceed one of its quotas",
    0x98: "an administrator ended it",
    0x9C: "it names another server: change [broker] url",
    0x9D: "it names another server: change [broker] url",
    0x9E: "it does not offer shared subscriptions: remove [ingest] shared_group",
    0xA2: "it does not offer wildcard subscriptions, which we need",
}


class Reconnecting:
    """Waits that grow from half a second to half a minute, with full jitter."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._backoff = Backoff(rng, base_s=BASE_S, cap_s=CAP_S)
        self._short_lived = 0

    @property
    def seems_contested(self) -> bool:
        """Return whether connections have ended in a row as soon as they stood."""
        return self._short_lived >= _SUSPICIOUS

    def wait_s(self, *, lasted_s: float, was_taken_over: bool) -> float:
        """Return the wait in seconds after a connection that delivered for `lasted_s`.

        Whoever took our session over takes it again as soon as we have it back, so we come
        rarely: two that fight for it at full speed would deliver everything over and over.
        """
        if lasted_s >= STEADY_S:
            self._backoff.reset()
            self._short_lived = 0
        elif lasted_s > 0:
            self._short_lived += 1
        wait_s = self._backoff.next_s()
        return self._rng.uniform(CAP_S / 2, CAP_S) if was_taken_over else wait_s


def explained(code: int, name: str) -> str:
    """Return the broker's reason in words, with what it means for us."""
    advice = _ADVICE.get(code)
    return name if advice is None else f"{name}: {advice}"

"""The numbers 0 to 255 of a node's messages: what is missing, what came twice. Pure."""

_COUNT = 256
_HALF = _COUNT // 2


class Sequence:
    """The sequence of one session. `digest` tells messages of one number apart.

    A number that is up to 127 ahead leaves a gap behind, whose messages may still come. One that
    lies behind fills a gap, or is a repetition, or more was lost than can be told.
    """

    __slots__ = ("_digests", "_lost", "_missing", "expected")

    def __init__(self, expected: int | None = None) -> None:
        self.expected = expected
        self._missing: dict[int, int] = {}
        self._digests: dict[int, int] = {}
        self._lost = 0

    @property
    def is_whole(self) -> bool:
        """Return whether nothing is missing."""
        return not self._missing and not self._lost

    def begin(self, seq: int, digest: int) -> None:
        """Begin with a birth's number; whatever was missing before does not matter any more."""
        self._missing.clear()
        self._digests.clear()
        self._lost = 0
        self._step(seq, digest)

    def take(self, seq: int, digest: int, *, is_redelivery: bool, now_ms: int) -> bool:
        """Note a message; return False when this very one was noted before.

        `is_redelivery` is what the broker says. It does not say that the first delivery got
        here, so only equal digests make a repetition; but such a number opens no gap.
        """
        ahead = 0 if self.expected is None else (seq - self.expected) % _COUNT
        if ahead and self._digests.get(seq) == digest:
            return False
        if ahead < _HALF:
            for left_out in range(seq - ahead, seq):
                self._forget_far_behind(left_out)
                self._missing[left_out % _COUNT] = now_ms
            self._step(seq, digest)
        elif seq in self._missing:
            del self._missing[seq]
            self._digests[seq] = digest
        elif not is_redelivery:
            self._lost += len(self._missing) + 1
            self._missing.clear()
            self._digests.clear()
            self._step(seq, digest)
        return True

    def is_broken(self, now_ms: int, *, patience_ms: int) -> bool:
        """Tell whether something was lost: it has been missing for longer than `patience_ms`."""
        return self._lost > 0 or any(
            now_ms - since_ms >= patience_ms for since_ms in self._missing.values()
        )

    def give_up(self) -> int:
        """Stop waiting for what is missing; return how many messages that is, as far as known."""
        lost = len(self._missing) + self._lost
        self._missing.clear()
        self._lost = 0
        return lost

    def _step(self, seq: int, digest: int) -> None:
        self.expected = (seq + 1) % _COUNT
        self._digests[seq] = digest
        self._forget_far_behind(seq)

    def _forget_far_behind(self, seq: int) -> None:
        """Give up the number half a round behind: soon it is that of another message."""
        oldest = (seq + _HALF) % _COUNT
        self._digests.pop(oldest, None)
        if self._missing.pop(oldest, None) is not None:
            self._lost += 1

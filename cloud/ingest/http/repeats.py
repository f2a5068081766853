"""Requests that may come twice: one of a key is under way at a time, and is answered once."""

from collections.abc import Awaitable, Callable
from hashlib import blake2b

from cloud.ingest.inbox import Reply
from cloud.ingest.ledger.accounts import Outcome, RequestKey
from tidegate.errors import HTTPError
from wire.ids import DeviceKey

MAX_KEY_CHARS = 255
_SWEPT_FROM = 256

OutcomeOf = Callable[[DeviceKey, str, int], Awaitable[tuple[bytes, Outcome] | None]]
_BAD, _CONFLICT, _UNPROCESSABLE = 400, 409, 422


class Repeats:
    """Knows the requests that are under way; asks `outcome_of` for those that are answered.

    A request whose sender gave up waiting stays under way until its fate is durable. There are
    no more of them than messages in the inbox.
    """

    def __init__(self, outcome_of: OutcomeOf) -> None:
        self._outcome_of = outcome_of
        # A device's key → digest, and the reply once the request is on its way.
        self._under_way: dict[tuple[DeviceKey, str], tuple[bytes, Reply | None]] = {}
        self._swept_from = _SWEPT_FROM

    async def begin(self, request: RequestKey, now_ms: int) -> Outcome | None:
        """Claim a key, and return None; or return what its request was answered before.

        Raises:
            HTTPError: 409, the request is under way; 422, the key was used for another.
            LedgerAway: what was answered cannot be read now.
        """
        self._sweep()
        place = (request.device, request.key)
        digest, reply = self._under_way.get(place, (b"", None))
        if digest and not (reply is not None and reply.done.is_set()):
            _check(digest, request)
            raise HTTPError(_CONFLICT, "the request of this Idempotency-Key is under way")
        self._under_way[place] = (request.digest, None)
        known = None
        is_new = False
        try:
            known = await self._outcome_of(*place, now_ms)
            is_new = known is None
        finally:
            if not is_new:
                del self._under_way[place]
        if known is None:
            return None
        _check(known[0], request)
        return known[1]

    def follow(self, request: RequestKey, reply: Reply) -> None:
        """Note that a claimed request is on its way."""
        self._under_way[request.device, request.key] = (request.digest, reply)

    def end(self, request: RequestKey) -> None:
        """Give a claim up, unless its request is on its way and has no durable fate yet."""
        place = (request.device, request.key)
        reply = self._under_way[place][1]
        if reply is None or reply.done.is_set():
            del self._under_way[place]

    def _sweep(self) -> None:
        """Forget requests whose senders gave up waiting and whose fate is durable by now."""
        if len(self._under_way) >= self._swept_from:
            ended = [
                place
                for place, (_, reply) in self._under_way.items()
                if reply is not None and reply.done.is_set()
            ]
            for place in ended:
                del self._under_way[place]
            self._swept_from = max(_SWEPT_FROM, 2 * len(self._under_way))


def request_key(device: DeviceKey, key: str, *, kind: str | None, payload: bytes) -> RequestKey:
    """Return what a request is known by.

    Raises:
        HTTPError: 400, the key is no text of 1 to 255 visible ASCII characters.
    """
    if not 0 < len(key) <= MAX_KEY_CHARS or not key.isascii() or not key.isprintable():
        raise HTTPError(
            _BAD, f"Idempotency-Key must be 1 to {MAX_KEY_CHARS} visible ASCII characters"
        )
    digest = blake2b((kind or "").encode(errors="surrogatepass"), digest_size=16)
    digest.update(b"\0")
    digest.update(payload)
    return RequestKey(device, key, digest.digest())


def _check(digest: bytes, request: RequestKey) -> None:
    if digest != request.digest:
        raise HTTPError(_UNPROCESSABLE, "this Idempotency-Key was used for another body")

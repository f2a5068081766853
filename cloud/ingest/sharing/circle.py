"""The group of ingesters as one of them sees it: what others tell goes to the pipeline."""

from collections import deque
from collections.abc import Callable

import structlog

from cloud.ingest.inbox import Chunk, Inbox
from cloud.ingest.messages import Messages
from cloud.ingest.sharing.peers import Claim, Peers, claims_of
from wire.errors import Malformed

# Of more, the oldest are let go: who has told them tells them again at the next change.
_MAX_CLAIMS = 200_000

_log = structlog.get_logger()


class Circle:
    """Takes the others' claims in the receiver's thread and gives them to the pipeline."""

    def __init__(self, group: str, member: str, inbox: Inbox, *, now_ms: Callable[[], int]) -> None:
        self.peers = Peers(group, member)
        self._inbox = inbox
        self._now_ms = now_ms
        self._claims: deque[Claim] = deque(maxlen=_MAX_CLAIMS)
        self._own = self.peers.topic.encode()
        self._has_called = False

    def hear(self, messages: Messages) -> None:
        """Take the group's messages out of what arrived; wake the pipeline when there are some."""
        heard = messages.pop(lambda topic: topic.startswith(self.peers.prefix))
        for topic, payload in heard:
            if topic != self._own:
                self._hear(topic, payload)
        if self._claims and not self._has_called:
            # Nothing to store, but the pipeline waits for chunks. One is enough until it comes.
            self._has_called = True
            self._inbox.put(Chunk(Messages(), self._now_ms()))

    def take(self) -> list[Claim]:
        """Return the claims heard since the last call."""
        # First: what is heard from here on calls again.
        self._has_called = False
        claims = []
        while self._claims:
            claims.append(self._claims.popleft())
        return claims

    def _hear(self, topic: bytes, payload: bytes) -> None:
        try:
            claims = claims_of(payload)
        except Malformed as exc:
            _log.warning("peer.unintelligible", topic=topic.decode(errors="replace"), why=str(exc))
            return
        if not claims:
            self.peers.repeat()
        self._claims.extend(claims)

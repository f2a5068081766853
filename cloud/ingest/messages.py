"""Received messages in columns, however they came. Data only."""

from collections.abc import Callable
from dataclasses import dataclass, field

# The flag of a message that the broker had kept for whoever subscribes.
RETAINED = 0x01
# The flag of a message that may have been delivered before.
DUPLICATE = 0x08


@dataclass(slots=True)
class Messages:
    """Received messages in columns. `mids[i]` is empty when none is to be acknowledged.

    `content_types` holds those that were sent, by the message's index.
    """

    topics: list[bytes] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    mids: list[bytes] = field(default_factory=list)
    flags: list[int] = field(default_factory=list)
    content_types: dict[int, str] = field(default_factory=dict)

    def extend(self, others: "Messages") -> None:
        """Add messages behind these."""
        for index, content_type in others.content_types.items():
            self.content_types[len(self.payloads) + index] = content_type
        self.topics += others.topics
        self.payloads += others.payloads
        self.mids += others.mids
        self.flags += others.flags

    def pop(self, is_wanted: Callable[[bytes], bool]) -> list[tuple[bytes, bytes]]:
        """Take the messages on wanted topics out; return topic and payload of each."""
        if not any(map(is_wanted, self.topics)):
            return []
        whole = Messages(self.topics, self.payloads, self.mids, self.flags, self.content_types)
        self.topics, self.payloads, self.mids, self.flags = [], [], [], []
        self.content_types = {}
        popped = []
        for index, each in enumerate(whole.topics):
            if is_wanted(each):
                popped.append((each, whole.payloads[index]))
                continue
            if index in whole.content_types:
                self.content_types[len(self.payloads)] = whole.content_types[index]
            self.topics.append(each)
            self.payloads.append(whole.payloads[index])
            self.mids.append(whole.mids[index])
            self.flags.append(whole.flags[index])
        return popped

    def size_bytes(self, start: int = 0, stop: int | None = None) -> int:
        """Return the bytes of topics and payloads of the messages `start` to `stop`."""
        return sum(map(len, self.payloads[start:stop])) + sum(map(len, self.topics[start:stop]))

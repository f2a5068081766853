"""`ctx.streams`: streams seen through one invocation's transaction.

Values are ordinary state in a group of their own; each write also notes a change, which the commit
numbers and the hub tells to clients.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from tidegate.contract import State
from tidegate.engine import exact_json, values
from tidegate.errors import NonRetriable
from tidegate.store.model import Frame, StreamChange, stream_group
from tidegate.streams.hub import Hub
from tidegate.streams.subscription import Subscription

MAX_NAME_BYTES = 1024

NoteChange = Callable[[StreamChange], None]
Listener = Callable[[dict[str, Any]], Awaitable[None]]


class TransactionStreams:
    """See `tidegate.contract.Streams`; `note_change` adds a change to the commit."""

    def __init__(self, state: State, note_change: NoteChange, hub: Hub) -> None:
        self.state = state
        self.note_change = note_change
        self.hub = hub
        self._subscriptions: list[Subscription] = []

    def __getitem__(self, name: str) -> "TransactionStream":
        """Return the stream of that name; raise `NonRetriable` for what is no name."""
        return TransactionStream(self, _checked("name", name))

    def keep(self, subscription: Subscription) -> None:
        """Remember a subscription that this run has made."""
        self._subscriptions.append(subscription)

    def discard(self) -> None:
        """End what this run has subscribed to: the run is void, or the invocation failed."""
        for subscription in self._subscriptions:
            subscription.close()
        self._subscriptions.clear()


class TransactionStream:
    """See `tidegate.contract.Stream`: an invocation reads its own writes."""

    def __init__(self, streams: TransactionStreams, name: str) -> None:
        self._streams = streams
        self._name = name

    async def get(self, group: str, key: str) -> Any:
        """Return a copy of the value, or None."""
        return await self._streams.state.get(self._place(group), key)

    async def set(self, group: str, key: str, value: Any) -> None:
        """Set the value; clients of the group get a `set` frame.

        Raises:
            NonRetriable: the value cannot be kept, or not be told to clients as JSON.
        """
        data = _tellable(value)
        await self._streams.state.set(self._place(group), key, value)
        self._note(StreamChange(self._name, group, "set", key, data))

    async def delete(self, group: str, key: str) -> None:
        """Delete the value; clients of the group get a `delete` frame."""
        await self._streams.state.delete(self._place(group), key)
        self._note(StreamChange(self._name, group, "delete", key, None))

    async def get_group(self, group: str) -> list[Any]:
        """Return the group's values in order of their keys."""
        return await self._streams.state.get_group(self._place(group))

    async def send(self, group: str, event: Any, id: str | None = None) -> None:  # noqa: A002
        """Send the clients of the group an `event` frame; it is no value and is not kept.

        Raises:
            NonRetriable: the event cannot be told to clients as JSON.
        """
        self._place(group)
        if id is not None:
            _checked("event id", id)
        self._note(StreamChange(self._name, group, "event", id, _tellable(event)))

    def subscribe(
        self, fn: Listener | None = None
    ) -> Callable[[], None] | AsyncIterator[dict[str, Any]]:
        """Follow every group of the stream from now on; see the contract.

        It is no part of the transaction: it begins at once, and lasts after the invocation.
        """
        streams = self._streams
        if fn is None:
            subscription = streams.hub.subscribe(self._name)
            streams.keep(subscription)
            return Changes(subscription)
        listen = fn

        async def tell(frame: Frame) -> None:
            await listen(as_change(frame))

        subscription = streams.hub.call(self._name, tell)
        streams.keep(subscription)
        return subscription.close

    def _place(self, group: str) -> str:
        return stream_group(self._name, _checked("group", group))

    def _note(self, change: StreamChange) -> None:
        self._streams.note_change(change)


class Changes:
    """The changes of a subscription as a handler sees them; dropping it ends it."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription

    def __aiter__(self) -> "Changes":
        """Return itself."""
        return self

    async def __anext__(self) -> dict[str, Any]:
        """Wait for the next change."""
        return as_change(await anext(self._subscription))

    async def aclose(self) -> None:
        """End it."""
        self._subscription.close()


def as_change(frame: Frame) -> dict[str, Any]:
    """Return a frame as the contract describes it."""
    change = frame.change
    return {
        "group": change.group,
        "seq": frame.seq,
        "type": change.kind,
        "id": change.id,
        "data": None if change.data is None else values.decode(change.data),
    }


def _tellable(value: Any) -> bytes:
    """Encode a value that can be decoded and told as JSON: every follower has to be able to."""
    data = values.encode(value)
    try:
        exact_json.encode(values.decode(data))
    except (TypeError, ValueError, OverflowError, RecursionError) as exc:
        raise NonRetriable(f"value cannot be told to a stream's clients as JSON: {exc}") from exc
    return data


def _checked(what: str, text: object) -> str:
    if not isinstance(text, str):
        raise NonRetriable(f"stream {what} must be a text, not {type(text).__name__}")
    try:
        size = len(text.encode())
    except UnicodeEncodeError as exc:
        raise NonRetriable(f"stream {what} is not valid text: {exc}") from exc
    if size > MAX_NAME_BYTES:
        raise NonRetriable(f"stream {what} of {size} bytes is longer than {MAX_NAME_BYTES} bytes")
    return text

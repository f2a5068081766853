"""`ctx.state`: the store seen through one invocation's transaction."""

from collections.abc import Awaitable, Callable
from re import DOTALL
from re import compile as compile_pattern
from typing import Any

from tidegate.contract import StepConfig
from tidegate.engine import values
from tidegate.engine.contention import Turn
from tidegate.engine.noted import NOTED
from tidegate.engine.transaction import Transaction, check_emits
from tidegate.errors import NonRetriable
from tidegate.store.glob import glob_to_regex
from tidegate.store.model import Key, Write
from tidegate.store.port import States

MAX_TTL_S = 100 * 365 * 24 * 3600.0
_RESERVED = "tidegate."


def _place(group: str, key: str) -> Key:
    """Check group and key; raise `NonRetriable` for what is no storable text."""
    for name, text in (("group", group), ("key", key)):
        if not isinstance(text, str):
            raise NonRetriable(f"state {name} must be a text, not {type(text).__name__}")
        if text.isascii():
            continue
        try:
            text.encode()
        except UnicodeEncodeError as exc:
            raise NonRetriable(f"state {name} is not valid text: {exc}") from exc
    return Key(group, key)


def _check_telling(topic: object, ttl: float | None, event: dict[str, Any]) -> None:
    """Check what will be told when a value lapses: then nobody is there to be told of a fault."""
    if ttl is None:
        raise NonRetriable("on_expire= needs ttl=: a value without one never lapses")
    if not isinstance(topic, str):
        raise NonRetriable(f"on_expire= must be a topic, not {type(topic).__name__}")
    values.encode(event)


class TransactionState:
    """See `tidegate.contract.State`: an invocation reads its own writes."""

    def __init__(
        self,
        store: States,
        transaction: Transaction,
        turn: Turn,
        now_ms: Callable[[], int],
        config: StepConfig | None,
    ) -> None:
        self._store = store
        self._turn = turn
        self._transaction = transaction
        self._now_ms = now_ms
        self._config = config

    async def get(self, group: str, key: str) -> Any:
        """Return a copy of the value, or None."""
        place = self._place(group, key)
        written = self._transaction.writes.get(place)
        if written is not None:
            return None if written.data is None else values.decode(written.data)
        await self._turn.take_if_changed(place)
        stored = await self._store.read(place, self._now_ms())
        self._transaction.note_read(place, stored)
        return None if stored.data is None else values.decode(stored.data)

    def set(
        self,
        group: str,
        key: str,
        value: Any,
        ttl: float | None = None,
        *,
        on_expire: str | None = None,
    ) -> Awaitable[None]:
        """Set the value; with `ttl` (seconds) it lapses, and tells it on the topic `on_expire`.

        Noted at once: who forgets to await it has set the value all the same.
        """
        if ttl is not None and not 0 < ttl <= MAX_TTL_S:
            raise NonRetriable(f"ttl must be above 0 and at most {MAX_TTL_S:.0f} seconds")
        if on_expire is not None:
            check_emits(self._config, on_expire)
            _check_telling(on_expire, ttl, {"group": group, "key": key, "value": value})
        expires_at = None if ttl is None else self._now_ms() + round(ttl * 1000)
        write = Write(values.encode(value), expires_at, on_expire)
        self._transaction.writes[self._place(group, key)] = write
        return NOTED

    def delete(self, group: str, key: str) -> Awaitable[None]:
        """Delete the value if it is there; noted at once."""
        self._transaction.writes[self._place(group, key)] = Write(None)
        return NOTED

    async def get_group(self, group: str) -> list[Any]:
        """Return the group's values in order of their keys."""
        return [value for _, value in await self._items(group, None)]

    async def get_pattern(self, group: str, pattern: str) -> list[Any]:
        """Return the values whose keys match a glob, in order of their keys."""
        return [value for _, value in await self._items(group, pattern)]

    async def increment(self, group: str, key: str, by: float = 1) -> float:
        """Add to a number (0 when absent) and return the sum."""
        total: float = (await self.get(group, key) or 0) + by
        await self.set(group, key, total)
        return total

    async def update(self, group: str, key: str, fn: Callable[[Any], Any]) -> Any:
        """Set the value to `fn(value)` and return it."""
        value = fn(await self.get(group, key))
        await self.set(group, key, value)
        return value

    async def clear(self, group: str) -> None:
        """Delete the whole group."""
        for key, _ in await self._items(group, None):
            await self.delete(group, key)

    def _place(self, group: str, key: str) -> Key:
        place = _place(group, key)
        self._check_group(group)
        return place

    def _check_group(self, group: str) -> None:
        """Keep users, sessions and keys from a step whose group comes from its caller."""
        if self._config is not None and group.startswith(_RESERVED):
            raise NonRetriable(f"state group '{group}' is the runtime's own")

    async def _items(self, group: str, pattern: str | None) -> list[tuple[str, Any]]:
        self._check_group(group)
        rows = await self._store.read_group(group, pattern, self._now_ms())
        self._transaction.note_group_read(group, pattern, rows)
        found = {key: stored.data for key, stored in rows}
        wanted = (
            compile_pattern(glob_to_regex(pattern), DOTALL).fullmatch if pattern else lambda _: True
        )
        for place, write in self._transaction.writes.items():
            if place.group == group and wanted(place.key):
                found[place.key] = write.data
        return [
            (key, values.decode(data)) for key, data in sorted(found.items()) if data is not None
        ]

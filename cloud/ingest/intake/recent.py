"""A cache that forgets whoever was not asked for in a long time. Pure."""

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """At most `limit` values. Asking for a value costs one look-up and moves nothing.

    Half of the limit fills up with what is asked for; then the other half, what nobody asked
    for meanwhile, is dropped. Whoever is in a hurry asks `young` first.
    """

    __slots__ = ("_half", "_older", "dropped", "young")

    def __init__(self, limit: int) -> None:
        self._half = max(1, limit // 2)
        self.young: dict[K, V] = {}
        self._older: dict[K, V] = {}
        self.dropped = 0

    def __len__(self) -> int:
        """Return how many values are held."""
        return len(self.young) + len(self._older)

    def get(self, key: K) -> V | None:
        """Return a value, None when it is not (any more) there."""
        value = self.young.get(key)
        if value is None and (value := self._older.pop(key, None)) is not None:
            self.put(key, value)
        return value

    def put(self, key: K, value: V) -> None:
        """Add or replace a value."""
        if len(self.young) >= self._half and key not in self.young:
            self.dropped += len(self._older)
            self._older, self.young = self.young, {}
        self.young[key] = value

"""What was emitted, by topic."""

from typing import Any

from tidegate.definition.topics import matches


class Captures:
    """Keeps every event that was emitted, for as long as its test runs."""

    def __init__(self) -> None:
        self._emitted: list[tuple[str, Any]] = []
        self._lists: dict[str, list[Any]] = {}

    def note(self, topic: str, data: Any) -> None:
        """Keep an event, and add it to the lists that were asked for."""
        self._emitted.append((topic, data))
        for pattern, captured in self._lists.items():
            if matches(pattern, topic):
                captured.append(data)

    def of(self, pattern: str) -> list[Any]:
        """Return the list of a topic's events, which goes on growing."""
        if pattern not in self._lists:
            past = [data for topic, data in self._emitted if matches(pattern, topic)]
            self._lists[pattern] = past
        return self._lists[pattern]

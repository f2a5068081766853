"""A step's config: aliases, mistakes, topics."""

import pytest

from tidegate.definition.normalise import normalise
from tidegate.definition.topics import emits, matches
from tidegate.errors import Misconfigured


def test_config_takes_both_spellings() -> None:
    """Both camelCase and snake_case name the same key."""
    camel = normalise({"type": "api", "name": "A", "path": "/", "bodySchema": {"type": "object"}})
    snake = normalise({"type": "api", "name": "A", "path": "/", "body_schema": {"type": "object"}})

    assert camel == snake


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"type": "event", "name": "A", "subscribs": ["x"]}, "did you mean 'subscribes'"),
        ({"type": "event", "name": "A"}, "needs the key 'subscribes'"),
        ({"type": "queue", "name": "A"}, "Invalid enum value 'queue'"),
        ({"type": "cron", "cron": "* * * * *"}, "missing required field `name`"),
        ("config", "config must be a dict"),
    ],
)
def test_config_mistakes_are_named(config: object, message: str) -> None:
    """Each mistake says which key and what would be right."""
    with pytest.raises(Misconfigured, match=message):
        normalise(config)


@pytest.mark.parametrize(
    ("pattern", "topic", "expected"),
    [
        ("a.b", "a.b", True),
        ("a.*", "a.b", True),
        ("a.*", "a", False),
        ("a.*", "a.b.c", False),
        ("a.*", "ab.c", False),
        ("a.*", "a.", False),
    ],
)
def test_topic_patterns(pattern: str, topic: str, *, expected: bool) -> None:
    """`a.*` matches exactly one more segment."""
    assert matches(pattern, topic) is expected


def test_emits_absent_allows_all_and_empty_allows_none() -> None:
    """Without a list any topic may be emitted; an empty list forbids all."""
    free = normalise({"type": "noop", "name": "A"})
    closed = normalise({"type": "noop", "name": "B", "emits": []})

    assert emits(free, "x")
    assert not emits(closed, "x")

"""Bounds that every store holds, and what it counts when it has to drop something."""

from prometheus_client import Counter

MAX_DEAD = 10_000

dead_dropped = Counter("tidegate_dead_events_dropped_total", "Oldest dead events, dropped")

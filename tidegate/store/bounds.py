"""Bounds that every store holds, and what it counts when it has to drop something."""

from prometheus_client import Counter

MAX_DEAD = 10_000
MAX_CHANGES = 1_000
"""How many changes of a group of a stream are kept, for clients that come back."""
KEEP_CHANGES_MS = 24 * 3600 * 1000
REMEMBER_EMITTED_MS = 7 * 24 * 3600 * 1000

dead_dropped = Counter("tidegate_dead_events_dropped_total", "Oldest dead events, dropped")

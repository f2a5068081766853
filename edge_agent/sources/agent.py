"""The agent as a source: what its outbox holds and dropped, how much memory it takes."""

from collections.abc import Callable

import psutil

from edge_agent.outbox import OutboxState
from wire.messages import Value


class AgentSource:
    """Metrics `agent_*`."""

    name = "agent"

    def __init__(self, interval_s: float, *, outbox: Callable[[], OutboxState]) -> None:
        self.interval_s = interval_s
        self._outbox = outbox
        self._process = psutil.Process()

    def read(self, now_s: float) -> dict[str, Value]:  # noqa: ARG002 - a Source
        """Return counters since the outbox was made, and the state of this moment."""
        state = self._outbox()
        return {
            "agent_outbox_readings": float(state.next_seq - state.first),
            "agent_outbox_bytes": float(state.bytes_held),
            "agent_dropped_readings": float(state.dropped),
            "agent_memory_bytes": float(self._process.memory_info().rss),
        }

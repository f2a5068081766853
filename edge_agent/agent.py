"""The agent: sources, outbox and publisher wired together."""

import logging
import random
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from edge_agent.clock import Clock
from edge_agent.collector import Collector
from edge_agent.connection import Connection, Message, PahoConnection, Version
from edge_agent.filters import Deadband
from edge_agent.outbox import Outbox
from edge_agent.outbox_file import new_boot, open_outbox
from edge_agent.publisher import Publisher
from edge_agent.sender import Sender
from edge_agent.settings import Settings
from edge_agent.sources.agent import AgentSource
from edge_agent.sources.host import HostSource
from edge_agent.sources.port import Source
from edge_agent.status import Presence

log = logging.getLogger(__name__)


class Agent:
    """Everything that runs on the device. Starts once, stops once.

    Raises:
        Misconfigured: when it is made: the outbox's folder cannot be used, or another agent
            holds it. A broker that is away is not an error.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        sources: Sequence[Source] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock or Clock()
        self._outbox = open_outbox(settings.data, settings.outbox)
        self._publisher = self._make_publisher()
        self._collector = Collector(
            default_sources(settings, self._outbox) if sources is None else sources,
            self._outbox,
            deadband=Deadband(settings.filters),
            clock=self._clock,
            on_kept=self._publisher.wake,
        )

    @property
    def outbox(self) -> Outbox:
        """What is held; for looking at it."""
        return self._outbox

    @property
    def is_connected(self) -> bool:
        """Tell whether a broker has accepted us and is still there."""
        return self._publisher.is_connected

    def start(self) -> None:
        """Start collecting and publishing; return at once."""
        state = self._outbox.state
        log.info(
            "agent.started tenant=%s device=%s boot=%s next_seq=%d held=%d",
            *self._settings.key,
            state.boot,
            state.next_seq,
            state.next_seq - state.first,
        )
        self._publisher.start()
        self._collector.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop collecting, send what is waiting, say goodbye, close; within `timeout_s`."""
        deadline_s = self._clock.monotonic_s() + timeout_s
        collected = self._collector.stop(timeout_s / 4)
        published = self._publisher.stop(max(0.1, deadline_s - self._clock.monotonic_s() - 0.2))
        state = self._outbox.state
        self._outbox.close()
        log.info(
            "agent.stopped clean=%s held=%d dropped=%d lost=%d",
            collected and published,
            state.next_seq - state.first,
            state.dropped,
            self._collector.lost_readings,
        )

    def _make_publisher(self) -> Publisher:
        settings, rng = self._settings, random.Random()  # noqa: S311 - jitter, not secrets
        sender = Sender(
            self._outbox,
            settings.mqtt,
            device=settings.key,
            clock=self._clock,
            rng=rng,
            new_boot=new_boot,
        )
        presence = Presence(settings.key, agent=agent_name(), boot=lambda: self._outbox.state.boot)
        return Publisher(
            sender,
            settings.mqtt,
            presence=presence,
            connect=self._connect,
            clock=self._clock,
            rng=rng,
        )

    def _connect(self, version: Version, will: Message) -> Connection:
        settings = self._settings
        return PahoConnection(settings.mqtt, settings.client_id, version=version, will=will)


def default_sources(settings: Settings, outbox: Outbox) -> list[Source]:
    """Make the sources that the settings enable."""
    sources: list[Source] = []
    host, agent = settings.sources.host, settings.sources.agent
    if host.enabled:
        sources.append(HostSource(host.interval_s, disk=host.disk, per_core=host.per_core))
    if agent.enabled:
        sources.append(AgentSource(agent.interval_s, outbox=lambda: outbox.state))
    return sources


def agent_name() -> str:
    """Return what the status says about who sends: name and version."""
    try:
        return f"tidegate-edge {version('tidegate')}"
    except PackageNotFoundError:
        return "tidegate-edge"

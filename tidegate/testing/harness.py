"""Run the steps of a folder for a test: nothing happens but what the test asks for."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, NamedTuple, Self, cast

import anyio

from tidegate.auth.access import Access
from tidegate.auth.middleware import MIDDLEWARE_NAMES, Authenticator, named_middlewares
from tidegate.auth.users import Users
from tidegate.contract import Context, Step
from tidegate.engine import values
from tidegate.engine.cron import Cron
from tidegate.engine.engine import Engine
from tidegate.http.client import Client, in_process
from tidegate.http.routes import routes
from tidegate.http.server import make_app
from tidegate.running.loading import load_steps
from tidegate.running.providing import brings_resources, provided
from tidegate.store.port import Store
from tidegate.store.sqlite.store import open_sqlite
from tidegate.testing.captures import Captures
from tidegate.testing.clock import START, NoChance, VirtualClock
from tidegate.testing.faults import Faults, FaultyProcesses
from tidegate.testing.mortal import MortalStore
from tidegate.testing.outlets import outlets_of
from tidegate.testing.timeline import Endless, Timeline

_TOKEN = "administrator"  # noqa: S105 - of an instance that ends with its test
_MOST_DEAD = 10_000
# What every process gives its steps.
_OWN_RESOURCES = ("access", "data_dir", "engine")

__all__ = ["DeadEvent", "Endless", "Harness"]


class DeadEvent(NamedTuple):
    """An event that was given up, with its payload decoded."""

    id: int
    step: str
    topic: str
    payload: Any
    error: str
    stack: str
    attempts: int


class Harness:
    """The steps below a folder, on a store and a clock of their own.

    Events wait until `drain` or `tick` handles them, one after the other in the order in which
    they are due; no retry and no delay is slept. Jitter is off: a retry waits as long as its
    policy allows. A handler's own timeout is real time.

    Example:
        async with Harness("steps", resources={"mailer": FakeMailer()}) as h:
            await h.client.post("/orders", json={"item": "cup"})
            await h.drain()
            assert h.capture("order.placed") == [{"item": "cup"}]
    """

    client: Client
    """An `httpx.AsyncClient` of the api steps, with the administrator's token."""
    engine: Engine
    """The engine, for what has no method here."""
    faults: Faults
    """What the test lets go wrong, by step."""

    def __init__(
        self,
        steps_root: Path | str,
        *,
        resources: Mapping[str, object] | None = None,
        now: datetime = START,
        most_events: int = 10_000,
    ) -> None:
        """Take note of what to run.

        Args:
            steps_root: the folder of the steps.
            resources: what handlers ask for by keyword-only parameters.
            now: what the clock shows at first, with a time zone.
            most_events: how many events one `drain` may handle before it is `Endless`.
        """
        self.clock = VirtualClock(now)
        self._root = Path(steps_root)
        self._most_events = most_events
        self._resources = dict(resources or {})
        self._captures = Captures()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Load the steps and open a store in a temporary folder.

        Raises:
            Misconfigured: a step is wrong; the message names file, line and reason.
        """
        known = None if brings_resources([self._root]) else {*self._resources, *_OWN_RESOURCES}
        steps = load_steps([self._root], resources=known, middleware=MIDDLEWARE_NAMES)
        self.faults = Faults([step.config.name for step in steps])
        async with AsyncExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="tidegate-")))
            store = await stack.enter_async_context(open_sqlite(folder / "state.db"))
            self._mortal = MortalStore(store)
            self.engine = Engine(
                [self.faults.around(step) for step in steps],
                cast("Store", self._mortal),
                now_ms=self.clock.now_ms,
                rng=NoChance(),
            )
            self.engine.processes = FaultyProcesses(self.faults)
            stack.push_async_callback(self.engine.aclose)
            self.engine.provide(await self._all_resources(stack, steps, folder))
            self.engine.on_emitted(self._captures.note)
            streams = await stack.enter_async_context(anyio.create_task_group())
            stack.callback(streams.cancel_scope.cancel)
            streams.start_soon(self.engine.hub.run)
            self._timeline = Timeline(
                self.engine,
                self.clock,
                outlets_of(self.engine, self.faults),
                Cron(self.engine).steps,
                most_events=self._most_events,
                faults=self.faults,
            )
            await self._timeline.begin()
            self.client = await stack.enter_async_context(self._make_client())
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close everything; the store is gone. What the test raised leaves as it is."""
        if isinstance(error, Exception):
            # The task groups below would wrap it, and pytest not show what was asserted.
            kind, error, trace = None, None, None
        await self._stack.__aexit__(kind, error, trace)

    async def emit(self, topic: str, data: object = None) -> None:
        """Emit an event from outside of any step; `drain` handles it."""
        await self.engine.emit(topic, data)

    def capture(self, topic: str) -> list[Any]:
        """Return the data of every event of a topic (or `a.*`), from the start of the test.

        The list grows as more are emitted. An event counts when what emitted it commits: also a
        delayed one, also one that nobody subscribes to.
        """
        return self._captures.of(topic)

    def crash_at(self, operation: int | None) -> None:
        """Die before the n-th operation on the store from now on, counted from 1; None: live on.

        What is being done then raises `Crash`, and so does what the test called for it.
        """
        self._mortal.crash_at(operation)

    @property
    def has_crashed(self) -> bool:
        """Whether the process has died as it was told to."""
        return self._mortal.has_crashed

    async def restart(self) -> None:
        """Begin again after a crash: what was under way is due at once."""
        await self.engine.store.release_all(now_ms=self.clock.now_ms())

    async def drain(self) -> int:
        """Handle events until none is due, and return how many were; delayed ones stay.

        Raises:
            Endless: steps emit to each other for ever.
        """
        return await self._timeline.drain()

    async def tick(self, seconds: float) -> None:
        """Move the clock; what comes due on the way runs in order, at its own time.

        Raises:
            Endless: steps emit to each other for ever.
        """
        await self._timeline.tick(round(seconds * 1000))

    async def state(self, group: str, key: str) -> Any:
        """Return a value of the state, None when there is none."""

        async def get(ctx: Context) -> Any:
            return await ctx.state.get(group, key)

        return await self.engine.transact(get)

    async def dead(self) -> list[DeadEvent]:
        """Return the events that were given up, oldest first."""
        letters = await self.engine.store.dead(limit=_MOST_DEAD)
        return [
            DeadEvent(*letter[:3], values.decode(letter.payload), *letter[4:7])
            for letter in letters
        ]

    async def _all_resources(
        self, stack: AsyncExitStack, steps: list[Step], folder: Path
    ) -> Mapping[str, object]:
        """Return the test's resources, and what the folder provides of those it does not give."""
        access = Access(Users(self.engine))
        own = {"access": access, "data_dir": folder, "engine": self.engine, **self._resources}
        if all(name in own for step in steps for name in step.resources):
            return own
        brought = await stack.enter_async_context(provided([self._root], folder, {}))
        return {**brought, **own}

    def _make_client(self) -> Client:
        known = Authenticator(
            Users(self.engine), admin_token=_TOKEN, device_of_token=lambda _token: None
        )
        app = make_app(routes(self.engine, named_middlewares(known), check_answers=True))
        return in_process(app, _TOKEN)

"""DBOS, on SQLite or PostgreSQL: a workflow for each step, on a queue; state by a datasource.

The datasource's transaction writes the state and the workflow's checkpoint in one commit, which
is what its documentation advises for exactly-once. Tried on SQLite, on a busy machine: 2 to 64
workers, queues polled every 20 to 100 ms (its default is 1 s), WAL, the state in a database of its
own, one to 40 threads that enqueue. What was best stands here: one thread enqueues, for more of
them spend their time in waiting for each other's lock. An earlier sweep on both databases (8 to 64
workers, polls of 10 to 100 ms, `start_workflow` in place of the queue) found little difference.
"""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio import from_thread, to_thread
from dbos import DBOS, SQLAlchemyDatasource
from sqlalchemy import text

from bench.steps.contract import First, Handled, Where, counted_up, key_of

_WORKERS = 8
_POLL_S = 0.02
_SQLITE_EMITTERS = 1
_POSTGRES_EMITTERS = 16
_QUEUE = "bench"
_TABLE = "create table state (step text, name text, value text, primary key (step, name))"
_READ = text("select value from state where step = :step and name = :name")
_WRITE = text(
    "insert into state values (:step, :name, :value)"
    " on conflict (step, name) do update set value = excluded.value"
)


class OnDBOS:
    """Two workflows; the first enqueues the second. Both run in threads of DBOS."""

    def __init__(self, source: Any, handled: Callable[[int], None], *, emitters: int) -> None:
        self._source = source
        self._emitting = anyio.CapacityLimiter(emitters)

        # Plain functions: DBOS marks what it registers, and methods cannot be marked.
        def write(step: str, key: str) -> None:
            _write(source.sql_session(), step, key)

        def run_first(index: int, key: str) -> None:
            count_up("first", key)
            DBOS.enqueue_workflow(_QUEUE, self._second, index, key)

        def run_second(index: int, key: str) -> None:
            count_up("second", key)
            handled(index)

        count_up: Any = source.transaction(name="count_up")(write)
        self._first: Any = DBOS.workflow(name="first")(run_first)
        self._second: Any = DBOS.workflow(name="second")(run_second)

    async def emit(self, first: First, index: int) -> None:
        """Enqueue a workflow."""
        workflow = self._first if first is First.CHAIN else self._second
        arguments = (_QUEUE, workflow, index, key_of(index))
        await to_thread.run_sync(DBOS.enqueue_workflow, *arguments, limiter=self._emitting)

    async def state_sum(self) -> int:
        """Return the sum of both steps' counts."""
        return await to_thread.run_sync(self._sum)

    def _sum(self) -> int:
        with self._source.engine.connect() as connection:
            found = connection.execute(text("select value from state")).fetchall()
        return sum(json.loads(row[0])["count"] for row in found)


def _write(session: Any, step: str, key: str) -> None:
    found = session.execute(_READ, {"step": step, "name": key}).fetchone()
    state = json.dumps(counted_up(json.loads(found[0]) if found else None, key))
    session.execute(_WRITE, {"step": step, "name": key, "value": state})


@asynccontextmanager
async def contender(where: Where, handled: Handled) -> AsyncIterator[OnDBOS]:
    """Launch DBOS with its tables and the state's in one database."""
    url = f"sqlite:///{where.folder / 'dbos.db'}" if where.url == "sqlite" else where.url
    url = url.replace("postgresql://", "postgresql+psycopg://")
    DBOS(config={"name": "bench", "system_database_url": url, "log_level": "ERROR"})
    source = SQLAlchemyDatasource.create(url)
    with source.engine.begin() as connection:
        connection.execute(text(_TABLE))
    token = anyio.lowlevel.current_token()

    def handled_there(index: int) -> None:
        from_thread.run_sync(handled, index, token=token)

    emitters = _SQLITE_EMITTERS if where.url == "sqlite" else _POSTGRES_EMITTERS
    workflows = OnDBOS(source, handled_there, emitters=emitters)
    await to_thread.run_sync(_launch)
    try:
        yield workflows
    finally:
        await to_thread.run_sync(DBOS.destroy)


def _launch() -> None:
    DBOS.launch()
    DBOS.register_queue(_QUEUE, worker_concurrency=_WORKERS, polling_interval_sec=_POLL_S)

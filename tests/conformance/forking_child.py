"""Fork a process that runs steps, kill it after the time that a line says, again and again.

Forking an interpreter that has everything imported makes 200 kills a matter of seconds.
"""

import os
import signal
import sys
import time
from pathlib import Path
from random import Random
from threading import Event

import anyio

from tidegate.definition.discovery import discover
from tidegate.engine.engine import Engine
from tidegate.engine.worker import Worker
from tidegate.store.open import open_store


async def work(steps: Path, url: str, ready: int) -> None:
    """Emit and handle events for ever."""
    async with open_store(url) as store, anyio.create_task_group() as tasks:
        engine = Engine(
            discover([steps]).steps,
            store,
            now_ms=lambda: time.time_ns() // 1_000_000,
            rng=Random(),
        )
        # Whoever worked before is dead.
        await store.release_all(now_ms=engine.now_ms())
        tasks.start_soon(Worker(engine).run)
        os.write(ready, b"x")
        while True:
            await engine.emit("tick", {})


def fork_and_kill(steps: Path, url: str, after_s: float) -> None:
    """Run one child until it is killed."""
    tell, hear = os.pipe()[::-1]
    pid = os.fork()
    if not pid:
        anyio.run(work, steps, url, tell)
        os._exit(1)
    os.close(tell)
    assert os.read(hear, 1) == b"x", "the child did not begin to work"
    os.close(hear)
    Event().wait(after_s)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def main() -> None:
    """Fork and kill for every line of standard input."""
    steps, url = Path(sys.argv[1]), sys.argv[2]
    for line in sys.stdin:
        fork_and_kill(steps, url, float(line))
        sys.stdout.write("killed\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

"""Delete values whose time to live is over, and forget old ids of emitted events."""

from tidegate import Context
from tidegate.engine.engine import Engine

config = {
    "type": "cron",
    "name": "PurgeLapsed",
    "description": "Delete lapsed values of the state",
    "cron": "@every 1m",
    "emits": [],
}


async def handler(ctx: Context, *, engine: Engine) -> None:
    """Purge; reads do not see lapsed values, so nothing waits for it."""
    purged = await engine.store.purge(engine.now_ms())
    if purged:
        ctx.logger.debug("state.purged", values=purged)

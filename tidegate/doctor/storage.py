"""Check the store: does it answer, which schema has it, do events wait for steps that are gone."""

from collections.abc import Collection, Iterator, Sequence

from tidegate.doctor.finding import Finding, fail, ok, warn
from tidegate.errors import StoreAway
from tidegate.store.look import look_into
from tidegate.store.model import WAITS


async def check_store(url: str, steps: Collection[str] | None) -> list[Finding]:
    """Return what was found; nothing is changed in the store, nor made.

    Args:
        url: as `open_store` takes it.
        steps: the names of all that are loaded; None leaves them out of it.

    Raises:
        Misconfigured: the URL names no store.
    """
    try:
        seen = await look_into(url)
    except StoreAway as exc:
        return [fail("store", str(exc), "start the database, or correct --store")]
    if seen is None:
        return [ok("store", "none yet: the first start makes it")]
    if seen.schema > seen.newest:
        found = f"its schema is {seen.schema}, written by a newer version than this"
        return [fail("store", found, "install the newer version")]
    older = "" if seen.schema == seen.newest else f"; the next start makes it {seen.newest}"
    return [
        ok("store", f"answers, schema {seen.schema}{older}"),
        *_orphans("queue", seen.waiting, steps),
        *_orphans("dead", seen.dead, steps),
    ]


def _orphans(
    check: str, counts: Sequence[tuple[str, int]], steps: Collection[str] | None
) -> Iterator[Finding]:
    """Yield what waits for steps that are not loaded."""
    what = "events wait" if check == "queue" else "events died"
    total = sum(count for step, count in counts if step != WAITS)
    yield ok(check, f"{total} {what}")
    for step, count in counts:
        if steps is not None and step not in steps and step != WAITS:
            yield warn(
                check,
                f"{count} {what} for the step '{step}', which is not loaded",
                "load it with --steps, or give it its old name again",
            )

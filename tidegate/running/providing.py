"""Resources that folders of steps bring along: their `step_resources.py`.

It exports `resources`, an async context manager: given the data folder it yields the objects that
the folder's handlers ask for, by name, and closes them when it is left.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import structlog

from tidegate.definition.siblings import execute
from tidegate.errors import Misconfigured

FILE = "step_resources.py"

log = structlog.get_logger()

Provider = Callable[[Path], AbstractAsyncContextManager[Mapping[str, object]]]


@asynccontextmanager
async def provided(
    roots: Iterable[Path], data_dir: Path, own: Mapping[str, object]
) -> AsyncIterator[dict[str, object]]:
    """Enter what the roots provide; yields it together with `own`.

    Raises:
        Misconfigured: a file cannot be loaded or entered, or two provide one name.
    """
    resources = dict(own)
    async with AsyncExitStack() as stack:
        for file in _files(roots):
            brought = await _brought(stack, file, data_dir)
            for name in brought:
                if name in resources:
                    raise Misconfigured(f"{file}: the resource '{name}' is provided already")
            resources.update(brought)
        yield resources


async def _brought(stack: AsyncExitStack, file: Path, data_dir: Path) -> dict[str, object]:
    provider = _provider(file)
    try:
        return dict(await stack.enter_async_context(provider(data_dir)))
    except (Exception, SystemExit) as exc:
        # Only its author can tell from a line of text where it happened.
        log.exception("resources.failed", file=str(file))
        raise Misconfigured(f"{file}: {type(exc).__name__}: {exc}") from exc


def brings_resources(roots: Iterable[Path]) -> bool:
    """Tell whether any of the roots brings resources along."""
    return bool(_files(roots))


def _files(roots: Iterable[Path]) -> list[Path]:
    found = [file for root in roots for file in sorted(root.resolve().glob(f"**/{FILE}"))]
    return list(dict.fromkeys(found))


def _provider(file: Path) -> Provider:
    try:
        module = execute(file, f"tidegate_resources_{abs(hash(file))}")
    except Exception as exc:
        raise Misconfigured(f"{file}: {type(exc).__name__}: {exc}") from exc
    provider: Provider | None = getattr(module, "resources", None)
    if not callable(provider):
        raise Misconfigured(f"{file}: exports no 'resources'")
    return provider

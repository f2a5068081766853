"""Load changed step files anew while everything runs; what cannot be loaded keeps its old version.

Only changed files are loaded: the modules of the others keep what they hold. When a file changes
that is no step, the steps that may import it are all loaded again.
"""

import sys
from collections.abc import AsyncIterator, Collection, Sequence
from pathlib import Path

import structlog
from watchfiles import awatch

from tidegate.contract import Step
from tidegate.definition.discovery import fault_of, load, refuse_double, step_files
from tidegate.errors import Misconfigured
from tidegate.running.loading import check
from tidegate.running.providing import brings_resources

# How long a stop waits for the watching thread.
_LOOK_UP_MS = 200

log = structlog.get_logger()


class Reloader:
    """The steps of some roots, each in the last version that could be loaded."""

    def __init__(
        self, roots: Sequence[Path], *, middleware: Collection[str], resources: Collection[str]
    ) -> None:
        """Load every step once; faults are logged and the others stand.

        Args:
            roots: folders of step files.
            middleware: names that api steps may use.
            resources: names that handlers may ask for where no folder brings its own.

        Raises:
            Misconfigured: a root is no folder.
        """
        # Compiled files are known by second and size: of two edits within one the last was missed.
        sys.dont_write_bytecode = True
        self._roots = [root.resolve() for root in roots]
        self._middleware = middleware
        self._resources = resources
        self._known: dict[Path, Step] = {}
        self._load(step_files(self._roots))

    @property
    def steps(self) -> list[Step]:
        """Return the steps in order of their paths; of two that clash the first."""
        sound: list[Step] = []
        for file in sorted(self._known):
            try:
                refuse_double(self._known[file], sound)
            except Misconfigured as exc:
                log.warning("step.faulty", fault=str(fault_of(exc, file)))
            else:
                sound.append(self._known[file])
        return sound

    async def changes(self) -> AsyncIterator[list[Step]]:
        """Yield the steps whenever a file has changed that matters to them."""
        async for changed in awatch(*self._roots, rust_timeout=_LOOK_UP_MS):
            files = {Path(name) for _, name in changed if name.endswith(".py")}
            if files and self._has_changed(files):
                yield self.steps

    def _has_changed(self, files: Collection[Path]) -> bool:
        try:
            return self.reload(files)
        except Misconfigured as exc:
            # A folder that is being replaced comes again.
            log.warning("steps.reload_failed", reason=str(exc))
            return False

    def reload(self, changed: Collection[Path]) -> bool:
        """Take in changed, new and deleted files; False when no step is another now."""
        before = dict(self._known)
        present = step_files(self._roots)
        for file in set(self._known) - set(present):
            del self._known[file]
        shared = [file for file in changed if not file.name.endswith("_step.py")]
        if shared:
            self._forget_modules()
        self._load([file for file in present if shared or file in changed])
        return before != self._known

    def _load(self, files: Collection[Path]) -> None:
        resources = None if brings_resources(self._roots) else self._resources
        for file in files:
            try:
                step = load(file)
                check(step, resources=resources, middleware=self._middleware)
            except Exception as exc:  # noqa: BLE001 - a step file is foreign code
                log.warning("step.faulty", fault=str(fault_of(exc, file)), kept=file in self._known)
            else:
                self._known[file] = step

    def _forget_modules(self) -> None:
        """Let imports of files below the roots be run again."""
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if file and any(Path(file).is_relative_to(root) for root in self._roots):
                del sys.modules[name]

"""The command `tidegate`: each subcommand is loaded only when it is asked for.

Packages offer subcommands by the entry point group `tidegate.commands`, so that the runtime
knows none of them, and `tidegate edge` on a device loads neither numpy nor Starlette.
"""

import sys
from importlib.metadata import EntryPoint, entry_points

import typer

from tidegate.errors import Misconfigured

GROUP = "tidegate.commands"
EXIT_MISCONFIGURED = 2
_EXIT_INTERRUPTED = 130


def main() -> None:
    """Run a command; what the user must correct is one line on stderr and exit code 2."""
    name, *arguments = sys.argv[1:] or ["--help"]
    try:
        if name in ("--help", "-h", "help"):
            print(_overview())
            return
        _run(name, arguments)
    except* Misconfigured as group:
        print(f"tidegate: {_first(group)}", file=sys.stderr)
        sys.exit(EXIT_MISCONFIGURED)
    except* KeyboardInterrupt:
        sys.exit(_EXIT_INTERRUPTED)


def _first(group: BaseExceptionGroup[Misconfigured]) -> Misconfigured:
    """Return one error of the group: what runs in task groups raises them wrapped."""
    while isinstance(first := group.exceptions[0], BaseExceptionGroup):
        group = first
    return first


def _run(name: str, arguments: list[str]) -> None:
    points = list(entry_points(group=GROUP, name=name))
    if not points:
        raise Misconfigured(f"no command '{name}'; 'tidegate --help' lists them")
    try:
        app = _app(points[0])
    except ModuleNotFoundError as exc:
        needed = f"'tidegate {name}' needs {exc.name}: pip install 'tidegate[all]'"
        raise Misconfigured(needed) from exc
    app(arguments, prog_name=f"tidegate {name}")


def _app(point: EntryPoint) -> typer.Typer:
    """Load a command: a Typer app, or a function that becomes one."""
    target = point.load()
    if isinstance(target, typer.Typer):
        return target
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(target)
    return app


def _overview() -> str:
    names = sorted(point.name for point in entry_points(group=GROUP))
    commands = "\n".join(f"  tidegate {name}" for name in names)
    return (
        "Telemetry from devices to decisions.\n\n"
        f"Commands ('tidegate COMMAND --help' says more):\n{commands}"
    )

"""`tidegate doctor`: look for what users get wrong, and say what to do."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import anyio
import msgspec
import typer

from tidegate.cli.options import Host, Port, Store
from tidegate.cli.running import Json, print_json
from tidegate.definition.discovery import discover
from tidegate.doctor.broker import check_broker
from tidegate.doctor.finding import Finding, ok
from tidegate.doctor.machine import (
    check_clock,
    check_folder,
    check_port,
    check_python,
    check_reports,
)
from tidegate.doctor.step_files import check_steps
from tidegate.doctor.storage import check_store
from tidegate.instance import InstanceFolder
from tidegate.running.serving import LOGINS, WORKBENCH

_EXIT_FAILED = 1
_FILE = "state.db"


def doctor(  # noqa: PLR0917 - typer calls it by names
    steps: Annotated[
        list[Path] | None, typer.Option(help="A folder of steps; may be given again.")
    ] = None,
    data: Annotated[Path, typer.Option(help="The data folder.")] = Path("data"),
    store: Store = None,
    mqtt: Annotated[str | None, typer.Option(help="mqtt://…: a broker to look for.")] = None,
    host: Host = "127.0.0.1",
    port: Port = 8080,
    as_json: Json = False,
) -> None:
    """Check steps, data folder, store, broker and machine; exit code 1 when something fails."""
    findings = list(_findings(steps or [], data, store, mqtt, (host, port)))
    if as_json:
        print_json({"findings": [msgspec.structs.asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            print(_line(finding))
    if any(finding.level == "FAIL" for finding in findings):
        raise typer.Exit(_EXIT_FAILED)


def _findings(
    roots: list[Path], data: Path, store: str | None, mqtt: str | None, listen: tuple[str, int]
) -> Iterator[Finding]:
    yield check_python()
    steps, found = check_steps(roots) if roots else ([], [])
    yield from found
    yield from check_folder(data)
    yield check_clock(datetime.now(UTC), data)
    yield _listening(data, listen)
    url = store or f"sqlite:///{data / _FILE}"
    names = {step.config.name for step in [*steps, *discover([WORKBENCH, LOGINS]).steps]}
    yield from anyio.run(check_store, url, names if roots else None)
    if mqtt is not None:
        yield check_broker(mqtt)
    yield check_reports()


def _listening(data: Path, listen: tuple[str, int]) -> Finding:
    """Tell whether the port is free; an instance that runs on the folder may hold it."""
    running = InstanceFolder(data).address_of_running()
    return ok("port", f"an instance runs at {running}") if running else check_port(*listen)


def _line(finding: Finding) -> str:
    advice = f"; {finding.advice}" if finding.advice else ""
    return f"{finding.level:<5} {finding.check:<9} {finding.found}{advice}"

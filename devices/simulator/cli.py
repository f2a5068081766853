"""`tidegate simulate` and `tidegate replay`."""

import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import anyio
import typer

from devices.simulator.accounts import anonymous_logins, read_logins
from devices.simulator.errors import BadInput, NotDelivered
from devices.simulator.fleet import FleetOptions, run_fleet
from devices.simulator.link import Login, Target
from devices.simulator.replay import ReplayOptions, check
from devices.simulator.replay import replay as replay_file
from wire.errors import Malformed
from wire.ids import DeviceKey, device_id, metric_name, tenant_id

_NOT_DELIVERED, _BAD_INPUT, _INTERRUPTED = 1, 2, 130

Host = Annotated[str, typer.Option(help="The broker's host.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="The broker's port.")]
Mqtt5 = Annotated[bool, typer.Option(help="Try MQTT 5 first; 3.1.1 is used where 5 is unknown.")]


def simulate(  # noqa: PLR0917 - typer reads the options off the parameters
    devices: Annotated[int, typer.Option(min=1, max=10_000, help="How many, anonymous.")] = 20,
    host: Host = "127.0.0.1",
    port: Port = 1883,
    tenant: Annotated[str, typer.Option(help="The tenant of anonymous devices.")] = "demo",
    seed: Annotated[int, typer.Option(help="The same seed gives the same devices.")] = 7,
    interval: Annotated[float, typer.Option(min=0.01, help="Seconds between readings.")] = 2.0,
    accounts: Annotated[
        Path | None, typer.Option(help="JSON list of devices and their accounts, mode 0600.")
    ] = None,
    faults: Annotated[
        float, typer.Option(min=0, max=1, help="Probability of a fault in 10 minutes of a device.")
    ] = 0.0,
    truth: Annotated[
        Path | None, typer.Option(help="Append the faults to this file, one JSON object a line.")
    ] = None,
    mqtt5: Mqtt5 = True,
) -> None:
    """Publish as a fleet of simulated devices, until Ctrl-C."""

    async def run() -> None:
        logins = read_logins(accounts) if accounts else anonymous_logins(devices, tenant)
        options = FleetOptions(seed=seed, interval_s=interval, faults=faults, truth=truth)
        typer.echo(f"{len(logins)} devices publish to {host}:{port}; Ctrl-C stops them", err=True)
        await run_fleet(logins, Target(host=host, port=port, mqtt5=mqtt5), options)

    run_until_signal(run)


def replay(  # noqa: PLR0917
    file: Annotated[Path, typer.Argument(help="CSV of timestamp,value.")],
    username: Annotated[str, typer.Option(help="The device's account: TENANT/DEVICE.")],
    password: Annotated[
        str | None, typer.Option(envvar="TIDEGATE_REPLAY_PASSWORD", help="Its password.")
    ] = None,
    metric: Annotated[str, typer.Option(help="The metric's name.")] = "value",
    speed: Annotated[
        float, typer.Option(min=0, help="1 as recorded, 10 ten times as fast, 0 without waiting.")
    ] = 1.0,
    shift_to_now: Annotated[
        bool, typer.Option(help="Move all times so that the last row is at now.")
    ] = True,
    host: Host = "127.0.0.1",
    port: Port = 1883,
    patience: Annotated[
        float, typer.Option(min=1, help="Give up after so many seconds without progress.")
    ] = 60.0,
    mqtt5: Mqtt5 = True,
) -> None:
    """Replay a recorded series through MQTT, as one device; exit 0 when all is acknowledged."""

    async def run() -> None:
        options = ReplayOptions(
            metric=metric_name(metric), speed=speed, to_now=shift_to_now, patience_s=patience
        )
        login = Login(_device(username), username if password is not None else None, password)
        target = Target(host=host, port=port, mqtt5=mqtt5)
        with typer.progressbar(length=check(file).rows, label=file.name, file=sys.stderr) as bar:
            await replay_file(file, target, login, options, on_progress=bar.update)

    if not run_until_signal(run):
        raise typer.Exit(_INTERRUPTED)


def run_until_signal(work: Callable[[], Awaitable[None]]) -> bool:
    """Run until the work ends or SIGINT or SIGTERM comes; return whether it ended by itself.

    Expected errors become one line on standard error and an exit code.
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    try:
        return anyio.run(_until_signal, work)
    except BaseExceptionGroup as group:
        known, others = group.split((BadInput, NotDelivered, Malformed))
        if others is not None or known is None:
            raise
        raise _exit_for(_first(known)) from None


async def _until_signal(work: Callable[[], Awaitable[None]]) -> bool:
    ended = False
    async with anyio.create_task_group() as group:
        group.start_soon(_cancel_at_signal, group.cancel_scope)
        await work()
        ended = True
        group.cancel_scope.cancel()
    return ended


async def _cancel_at_signal(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


def _exit_for(error: BaseException) -> SystemExit:
    typer.echo(f"error: {error}", err=True)
    return SystemExit(_NOT_DELIVERED if isinstance(error, NotDelivered) else _BAD_INPUT)


def _device(username: str) -> DeviceKey:
    tenant, _, device = username.partition("/")
    try:
        return DeviceKey(tenant_id(tenant), device_id(device))
    except Malformed as exc:
        raise BadInput(f"--username {username!r} is not TENANT/DEVICE: {exc}") from exc

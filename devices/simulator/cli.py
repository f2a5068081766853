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

Host = Annotated[str, typer.Option(metavar="HOST", help="The broker's host.")]
Port = Annotated[int, typer.Option(min=1, max=65535, metavar="PORT", help="The broker's port.")]
Mqtt5 = Annotated[
    bool,
    typer.Option(
        "--mqtt5/--no-mqtt5",
        help="Try MQTT 5 first, and 3.1.1 where 5 is unknown. Only with 5 does a broker tell when"
        " it refuses a message.",
    ),
]


def simulate(  # noqa: PLR0917 - typer reads the options off the parameters
    devices: Annotated[
        int,
        typer.Option(min=1, max=10_000, metavar="N", help="How many devices, without accounts."),
    ] = 20,
    accounts: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The devices instead: a JSON list of objects with tenant, device, mqtt_username"
            " and mqtt_password. Only its owner may read it (chmod 600).",
        ),
    ] = None,
    host: Host = "127.0.0.1",
    port: Port = 1883,
    tenant: Annotated[
        str, typer.Option(metavar="TENANT", help="Whose the devices without accounts are.")
    ] = "demo",
    interval: Annotated[
        float, typer.Option(min=0.01, metavar="SECONDS", help="Time between a device's readings.")
    ] = 2.0,
    seed: Annotated[
        int, typer.Option(metavar="N", help="The same seed gives the same devices and signals.")
    ] = 7,
    faults: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            metavar="SHARE",
            help="Probability that a device has a fault in any 10 minutes: spike, shift, drift,"
            " stuck, dropout or noise.",
        ),
    ] = 0.0,
    truth: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Append each fault to this file, one JSON object a line."
        ),
    ] = None,
    mqtt5: Mqtt5 = True,
) -> None:
    """Publish as a fleet of simulated devices until SIGTERM or Ctrl-C.

    Each device has its own connection, signals and faults. What it measures while the broker is
    away is delivered later (the last 1,000 readings). Exit code 2: an option or a file must be
    corrected.
    """

    async def run() -> None:
        logins = read_logins(accounts) if accounts else anonymous_logins(devices, tenant)
        options = FleetOptions(seed=seed, interval_s=interval, faults=faults, truth=truth)
        typer.echo(f"{len(logins)} devices publish to {host}:{port}; Ctrl-C stops them", err=True)
        await run_fleet(logins, Target(host=host, port=port, mqtt5=mqtt5), options)

    run_until_signal(run)


def replay(  # noqa: PLR0917
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="CSV of timestamp,value in order of time; times are RFC 3339,"
            " YYYY-MM-DD HH:MM:SS (UTC) or Unix ms.",
        ),
    ],
    username: Annotated[
        str, typer.Option(metavar="TENANT/DEVICE", help="The device, which is its account too.")
    ],
    password: Annotated[
        str | None,
        typer.Option(
            envvar="TIDEGATE_REPLAY_PASSWORD",
            metavar="TEXT",
            help="Its password. Others see it in the list of processes: prefer the variable."
            " Absent: no account.",
        ),
    ] = None,
    metric: Annotated[str, typer.Option(metavar="NAME", help="What the values are.")] = "value",
    speed: Annotated[
        float,
        typer.Option(
            min=0, metavar="FACTOR", help="1 as recorded, 10 ten times as fast, 0 without waiting."
        ),
    ] = 1.0,
    shift_to_now: Annotated[
        bool,
        typer.Option(
            "--shift-to-now/--no-shift-to-now",
            help="Move all times by the same amount, so that the last row is at now.",
        ),
    ] = True,
    host: Host = "127.0.0.1",
    port: Port = 1883,
    patience: Annotated[
        float,
        typer.Option(
            min=1, metavar="SECONDS", help="Give up when the broker takes nothing for so long."
        ),
    ] = 60.0,
    mqtt5: Mqtt5 = True,
) -> None:
    """Publish a recorded series as one device.

    Exit code 0: the broker acknowledged every row; 1: it refused the account or a message, or
    took nothing for too long; 2: an option or the file must be corrected.
    """

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

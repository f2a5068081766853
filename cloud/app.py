"""The only wiring: which adapters, services, steps and children make one running platform."""

import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from random import Random
from typing import NamedTuple

import anyio
import anyio.abc
import prometheus_client
import structlog
from starlette.routing import BaseRoute

from broker.accounts import new_account
from broker.port import Broker
from cloud.accounts import Accounts
from cloud.alerts import changes
from cloud.alerts.conditions import Conditions
from cloud.alerts.evaluator import Evaluator
from cloud.alerts.rules import Rules, typed_rules
from cloud.alerts.targets import check_targets
from cloud.analytics.watcher import Watcher
from cloud.banner import Welcome, render
from cloud.brokers import (
    Connection,
    broker_connection,
    check_sharing,
    parse_url,
    reachable,
)
from cloud.children import keep_running
from cloud.dashboard.assets import static_mount
from cloud.dashboard.live import LiveHub
from cloud.dashboard.presence import limits_of
from cloud.data_folder import DataFolder
from cloud.demo import children_of, first_hint, make_logins
from cloud.fleet.presence import Presence
from cloud.fleet.registry import Registry
from cloud.ingest.http.middleware import ingest_middlewares
from cloud.ingest.intake.bounds import within_retention
from cloud.ingest.intake.mappings import formats_of
from cloud.ingest.intake.rules import TopicRules
from cloud.ingest.ledger.ledger import Ledger
from cloud.ingest.ledger.metrics import LedgerMetrics
from cloud.ingest.pipeline import Ingest
from cloud.ingest.receiving.client import BrokerAccess
from cloud.ingest.spool.spool import Spool
from cloud.interpreter import tune_interpreter
from cloud.metrics import ServiceMetrics
from cloud.reports.schedule import time_of_day
from cloud.running_steps import RunningSteps
from cloud.settings import Settings, zone_of
from cloud.timeseries.open import check_retention, check_url, open_timeseries
from cloud.timeseries.port import TimeSeries
from cloud.timeseries.tap import until_taken
from cloud.timeseries.tending import keep_tended
from tidegate.auth.access import Access
from tidegate.auth.middleware import ADMIN, Authenticator, named_middlewares
from tidegate.auth.signing import SigningKeys
from tidegate.auth.streams import stream_guard
from tidegate.auth.users import Users
from tidegate.contract import Context
from tidegate.definition.discovery import discover
from tidegate.engine import values
from tidegate.engine.cron import Cron
from tidegate.engine.engine import Engine
from tidegate.engine.worker import Worker, working
from tidegate.errors import HTTPError, Misconfigured
from tidegate.http.middleware import Middleware
from tidegate.http.operations import operations
from tidegate.http.routes import routes
from tidegate.http.server import bind, make_app, serve
from tidegate.http.streams import stream_routes
from tidegate.stopping import set_on_signal
from tidegate.store.model import Key
from tidegate.store.port import Store
from tidegate.store.sqlite.store import open_sqlite
from wire.errors import Malformed
from wire.events import ConditionChanged, DataLost
from wire.sparkplug.topics import state_topic

_ROOT = Path(__file__).parent.parent
STEP_ROOTS = (
    _ROOT / "tidegate" / "workbench" / "steps",
    _ROOT / "tidegate" / "auth" / "steps",
    *(
        _ROOT / "cloud" / service / "steps"
        for service in ("alerts", "dashboard", "fleet", "ingest", "reports", "timeseries")
    ),
)

log = structlog.get_logger()


class Stores(NamedTuple):
    """Everything that keeps something."""

    telemetry: TimeSeries
    state: Store
    ledger: Ledger
    registry: Registry


class Services(NamedTuple):
    """Everything that runs beside the steps."""

    ingest: Ingest
    watcher: Watcher
    evaluator: Evaluator
    live: LiveHub
    presence: Presence


async def run(settings: Settings, *, agent: bool, simulator: bool) -> None:
    """Run the whole platform until SIGTERM or Ctrl-C.

    Raises:
        Misconfigured: something that the operator must correct; nothing is left half started.
    """
    check_settings(settings)
    folder = DataFolder(settings.data)
    folder.prepare()
    with folder.locked(), bind(settings.http.host, settings.http.port) as listener:
        stop = anyio.Event()
        async with anyio.create_task_group() as signals:
            signals.start_soon(set_on_signal, stop)
            async with AsyncExitStack() as stack:
                await _start(stack, settings, folder, listener, agent=agent, simulator=simulator)
                tune_interpreter()
                await stop.wait()
            signals.cancel_scope.cancel()
    log.info("platform.stopped")


def check_settings(settings: Settings) -> None:
    """Check what needs more than types, before anything starts; raise `Misconfigured`."""
    typed_rules(settings.alerts.rules)
    check_targets(settings)
    check_retention(settings.timeseries)
    zone_of(settings.site.timezone)
    time_of_day(settings.reports.daily_at)
    try:
        formats = formats_of(settings.ingest)
    except Malformed as exc:
        raise Misconfigured(f"ingest.mappings: {exc}") from exc
    try:
        TopicRules(settings.ingest, formats)
    except Malformed as exc:
        raise Misconfigured(f"ingest.topics: {exc}") from exc
    check_sharing(settings)
    try:
        state_topic(settings.ingest.sparkplug.host_id)
    except Malformed as exc:
        raise Misconfigured(f"ingest.sparkplug host_id: {exc}") from exc
    if settings.broker.url is not None:
        parse_url(settings.broker.url)
    check_url(settings.timeseries.url)
    for root in settings.steps.roots:
        if not root.is_dir():
            raise Misconfigured(f"steps.roots: there is no folder {root}")


async def _start(
    stack: AsyncExitStack,
    settings: Settings,
    folder: DataFolder,
    listener: socket.socket,
    *,
    agent: bool,
    simulator: bool,
) -> None:
    """Enter every part, so that the stack leaves them in the reverse order.

    Devices stop first, then pages and API, then the services; ingest then stores and
    acknowledges what it has received, and the broker and the stores go last.
    """
    stores = await _open_stores(stack, settings, folder)
    logins = make_logins(settings, stores.registry, agent=agent, simulator=simulator)
    hint = first_hint(settings, stores.registry, folder)
    accounts = Accounts(stores.registry)
    connection = await stack.enter_async_context(broker_connection(settings, folder, accounts))
    engine = _make_engine(stores.state, settings.steps.roots)
    rules = typed_rules(settings.alerts.rules)
    services = await _make_services(settings, rules, stores, engine, connection.access)
    access = await _access(engine, folder, settings)
    engine.provide(
        {
            "access": access,
            "connect_hint": hint,
            "data_dir": folder.path,
            "engine": engine,
            "forgetting": services.ingest.forgetting,
            "gateway": services.ingest.gateway,
            "ledger": stores.ledger,
            "live": services.live,
            "presence": services.presence,
            "registry": stores.registry,
            "replaying": services.ingest.replaying,
            "rules": rules,
            "settings": settings,
            "step_desk": RunningSteps(engine, prometheus_client.REGISTRY),
            "telemetry": stores.telemetry,
            "users": access.users,
        }
    )
    tending = await _background(stack)
    tending.start_soon(keep_tended, stores.telemetry, _now_ms)
    await _run_services(stack, services, engine, accounts, connection.own)
    authenticator = _authenticator(access, stores.registry, folder, settings)
    limits = ingest_middlewares(settings.ingest.http, services.ingest.metrics)
    app = make_app(_routes(engine, authenticator, stores, ingest=services.ingest, limits=limits))
    await stack.enter_async_context(serve(app, listener))
    stack.callback(engine.hub.close)
    pages = await _background(stack)
    pages.start_soon(services.live.run)
    devices = await _background(stack)
    for child in children_of(logins, connection.access, settings, folder):
        devices.start_soon(keep_running, child)
    _welcome(settings, folder, connection, hint)


async def _run_services(
    stack: AsyncExitStack,
    services: Services,
    engine: Engine,
    accounts: Accounts,
    broker: Broker | None,
) -> None:
    receiving = await _background(stack)
    receiving.start_soon(services.ingest.run)
    if broker is not None:
        receiving.start_soon(accounts.follow, broker)
        receiving.start_soon(broker.wait_ended)
    counts = ServiceMetrics(services.watcher, services.evaluator, services.live)
    prometheus_client.REGISTRY.register(counts)
    stack.callback(prometheus_client.REGISTRY.unregister, counts)
    await stack.enter_async_context(working(Worker(engine)))
    running = await _background(stack)
    stack.push_async_callback(engine.aclose)
    for part in (services.watcher, services.evaluator, Cron(engine), engine.hub):
        running.start_soon(part.run)


async def _access(engine: Engine, folder: DataFolder, settings: Settings) -> Access:
    """Return users, tokens and keys, with an administrator made at the first start.

    Raises:
        Misconfigured: the password that stands ready for the administrator is not taken.
    """
    users = Users(engine)
    if not await users.exists(ADMIN):
        try:
            await users.set_password(ADMIN, folder.admin_password(), roles=(ADMIN,))
        except HTTPError as exc:
            raise Misconfigured(f"{folder.path / 'admin.password'}: {exc.detail}") from exc
    signing = SigningKeys.kept_in(folder)
    return Access(users, signing=signing, public_url=settings.http.public_url)


async def _background(stack: AsyncExitStack) -> anyio.abc.TaskGroup:
    """Return a task group whose tasks are cancelled when the stack reaches it."""
    tasks = await stack.enter_async_context(anyio.create_task_group())
    stack.callback(tasks.cancel_scope.cancel)
    return tasks


async def _open_stores(stack: AsyncExitStack, settings: Settings, folder: DataFolder) -> Stores:
    telemetry = await stack.enter_async_context(
        open_timeseries(settings.timeseries.url, data_dir=folder.path, settings=settings.timeseries)
    )
    state = await stack.enter_async_context(open_sqlite(folder.state))
    # The folder is held by this process alone: whoever leased an event is dead.
    await state.release_all(now_ms=_now_ms())
    ledger = await stack.enter_async_context(Ledger(folder.ingest))
    accounts = LedgerMetrics(ledger)
    prometheus_client.REGISTRY.register(accounts)
    stack.callback(prometheus_client.REGISTRY.unregister, accounts)
    registry = Registry(folder.fleet, new_account=new_account)
    stack.callback(registry.close)
    return Stores(telemetry, state, ledger, registry)


def _make_engine(state: Store, own_roots: Sequence[Path]) -> Engine:
    found = discover([*STEP_ROOTS, *own_roots])
    if found.faults:
        raise Misconfigured("; ".join(str(fault) for fault in found.faults))
    return Engine(found.steps, state, now_ms=_now_ms, rng=Random())  # noqa: S311 - jitter


async def _make_services(
    settings: Settings, rules: Rules, stores: Stores, engine: Engine, access: BrokerAccess
) -> Services:
    async def holding(ctx: Context) -> list[ConditionChanged]:
        return await changes.still_holding(ctx.state, rules.thresholds)

    async def tell_loss(loss: DataLost) -> None:
        await until_taken(partial(engine.emit, "data.lost", loss), what="data.lost")

    presence = Presence()
    conditions = Conditions(rules.thresholds, await engine.transact(holding))
    evaluator = Evaluator(conditions, engine.transact)
    checkpoint = DataFolder(settings.data).detectors
    watcher = Watcher(settings.analytics, engine.emit_many, checkpoint_path=checkpoint)
    live = LiveHub(presence, limits_of(settings.alerts.rules))
    ingest = Ingest(
        stores.telemetry,
        stores.ledger,
        spool=Spool(DataFolder(settings.data).spool, settings.ingest.spool),
        presence=presence,
        registry=stores.registry,
        settings=within_retention(settings.ingest, settings.timeseries.retention_days),
        broker=access,
        taps=[live.offer, evaluator.tap.offer, watcher.offer],
        on_loss=tell_loss,
    )
    return Services(ingest, watcher, evaluator, live, presence)


def _authenticator(
    access: Access, registry: Registry, folder: DataFolder, settings: Settings
) -> Authenticator:
    def device_of_token(token: str) -> dict[str, str] | None:
        device = registry.device_of_token(token)
        return None if device is None else dict(device._asdict())

    return Authenticator(
        access.users,
        admin_token=folder.admin_token(),
        device_of_token=device_of_token,
        public_url=settings.http.public_url,
        access=access,
    )


def _routes(
    engine: Engine,
    authenticator: Authenticator,
    stores: Stores,
    *,
    ingest: Ingest,
    limits: Mapping[str, Middleware],
) -> list[BaseRoute]:
    async def state_answers() -> None:
        await stores.state.read(Key("tidegate.ping", ""), _now_ms())

    async def broker_delivers() -> None:
        if not ingest.is_connected:
            raise ConnectionError("not connected")

    async def readings_are_stored() -> None:
        if ingest.store_is_away:
            raise ConnectionError(
                "what is received can be kept neither in the store nor in the spool: it stays with"
                " its senders, and is retried"
            )

    async def nothing_is_spooled() -> None:
        spool = ingest.spool
        if spool.readings:
            raise ConnectionError(
                f"{spool.readings} readings wait on disk for the store: {spool.size_bytes} of at"
                f" most {spool.max_bytes} bytes, for {spool.oldest_s:.0f} s"
            )

    pings = {
        "broker": broker_delivers,
        "ingest": readings_are_stored,
        "spool": nothing_is_spooled,
        "state": state_answers,
        "telemetry": stores.telemetry.ping,
    }
    return [
        *operations(pings, ready=state_answers, metrics=prometheus_client.REGISTRY),
        static_mount(),
        *stream_routes(engine.hub, values.decode, stream_guard(authenticator)),
        *routes(engine, {**named_middlewares(authenticator), **limits}),
    ]


def _welcome(settings: Settings, folder: DataFolder, connection: Connection, hint: str) -> None:
    http = settings.http
    address = f"http://{reachable(http.host)}:{http.port}"
    folder.note_address(address)
    welcome = Welcome(
        page=http.public_url or address,
        username=ADMIN,
        password=folder.admin_password(),
        data=str(folder.path),
        broker=connection.name,
        connect_hint=hint,
    )
    print(render(welcome), flush=True)  # noqa: T201 - the one text for a person


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

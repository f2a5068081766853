"""How much the fault suite publishes, and the table that it ends with.

Without more being said a handful of tests publish a few thousand messages each, in seconds.
`python -m scripts.faults` sets FAULTS_MESSAGES, which is what each of all tests then publishes.
"""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from tests.faults.account import Account
from tests.faults.ingester import Config
from tests.faults.plant import Faults, Ingester, Show, plant, survive
from tests.faults.publisher import Orders
from tests.support.servers import Mosquitto

MESSAGES = int(os.environ.get("FAULTS_MESSAGES", "0"))
_SHORT, _SHORT_S, _LONG_S = 4_000, 3.0, 8.0
DEVICES = 20
_SHORT_WITHIN_S, _LONG_WITHIN_S = 100.0, 900.0
_TABLE: dict[str, Account] = {}
# Of what nobody promises, and why: told, but not in the sum.
_EXCEPTED: dict[str, tuple[Account, str]] = {}

Trial = Callable[..., Awaitable[Account]]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what is in this folder, give it the time that it takes, and leave out the long ones."""
    left_out = []
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.faults)
            item.add_marker(pytest.mark.timeout(_LONG_WITHIN_S if MESSAGES else 120))
            if not MESSAGES and not item.get_closest_marker("short"):
                left_out.append(item)
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture
def trial(own_mosquitto: Mosquitto, tmp_path: Path, request: pytest.FixtureRequest) -> Trial:
    """Return what runs one trial: devices publish, faults happen, everything is counted."""

    async def run(
        faults: Faults,
        *,
        config: Config | None = None,
        share: float = 1.0,
        lasts_s: float | None = None,
        show: Show | None = None,
        except_for: str | None = None,
        ingester: type[Ingester] = Ingester,
        **orders: object,
    ) -> Account:
        messages = int((MESSAGES or _SHORT) * share)
        lasts_s = (_LONG_S if MESSAGES else _SHORT_S) if lasts_s is None else lasts_s
        fields: dict[str, object] = {
            "port": 0,
            "messages": messages,
            "devices": DEVICES,
            "rate": messages / lasts_s if lasts_s else 0.0,
        }
        asked = Orders(**(fields | orders))  # type: ignore[arg-type]  # a test's own fields
        if config is not None and not config.folder:
            config = msgspec.structs.replace(config, folder=str(tmp_path / "ingester"))
        async with plant(own_mosquitto, tmp_path, asked, config, kind=ingester) as running:
            within_s = _LONG_WITHIN_S if MESSAGES else _SHORT_WITHIN_S
            account = await survive(running, faults, within_s=within_s, show=show)
        if except_for is None:
            _TABLE[request.node.name] = account
        else:
            _EXCEPTED[request.node.name] = account, except_for
        return account

    return run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what became of everything that was published."""
    if not _TABLE and not _EXCEPTED:
        return
    names = [*Account.__dataclass_fields__]
    width = max(map(len, [*_TABLE, *_EXCEPTED])) + 2
    terminalreporter.section("what became of every message")
    terminalreporter.line("trial".ljust(width) + " ".join(f"{name:>10.10}" for name in names))
    sums = dict.fromkeys(names, 0)
    for trial_name, account in sorted(_TABLE.items()):
        values = {name: getattr(account, name) for name in names}
        sums = {name: sums[name] + values[name] for name in names}
        terminalreporter.line(_row(trial_name.ljust(width), values))
    terminalreporter.line(_row("in all".ljust(width), sums))
    for trial_name, (account, reason) in sorted(_EXCEPTED.items()):
        terminalreporter.line(f"not in the sum: {reason}")
        values = {name: getattr(account, name) for name in names}
        terminalreporter.line(_row(trial_name.ljust(width), values))


def _row(name: str, values: dict[str, int]) -> str:
    return name + " ".join(f"{value:>10}" for value in values.values())

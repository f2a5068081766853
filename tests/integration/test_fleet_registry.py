"""The registry of devices: credentials once, several processes, nothing secret kept."""

from pathlib import Path

import pytest

from broker.accounts import new_account, verify_password
from cloud.fleet.presence import Presence
from cloud.fleet.registry import Registry
from cloud.fleet.steps import get_device_step, list_devices_step
from cloud.timeseries.memory import Memory
from cloud.timeseries.port import Latest, StoreAway
from tests.support.fake_context import FakeContext
from tidegate import errors
from tidegate.errors import HTTPError, Misconfigured
from tidegate.http.request import Request
from wire.errors import Malformed
from wire.ids import DeviceKey, MetricName, SeriesKey, device_id, tenant_id
from wire.points import PointBatch

_PUMP = DeviceKey(tenant_id("acme"), device_id("pump"))
_FAN = DeviceKey(tenant_id("acme"), device_id("fan"))


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Return an empty registry."""
    return Registry(tmp_path / "fleet.db", new_account=new_account, now_ms=lambda: 7)


def test_registry_added_device_can_log_in(registry: Registry) -> None:
    """The broker's own check takes the password, the token names the device."""
    credentials = registry.add(_PUMP)

    (username, password_hash), *others = registry.accounts()
    assert others == []
    assert username == credentials.mqtt_username == "acme/pump"
    assert verify_password(credentials.mqtt_password, password_hash)
    assert registry.device_of_token(credentials.http_token) == _PUMP


def test_registry_keeps_no_secret(registry: Registry, tmp_path: Path) -> None:
    """Neither password nor token is in the file, which only its owner can read."""
    credentials = registry.add(_PUMP)

    registry.close()
    data = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert credentials.mqtt_password.encode() not in data
    assert credentials.http_token.encode() not in data
    assert (tmp_path / "fleet.db").stat().st_mode & 0o077 == 0


def test_registry_adding_again_ends_the_old_credentials(registry: Registry) -> None:
    """New credentials, the same device, since the same time."""
    old = registry.add(_PUMP)

    new = registry.add(_PUMP)

    assert registry.device_of_token(old.http_token) is None
    assert not verify_password(old.mqtt_password, registry.accounts()[0][1])
    assert registry.device_of_token(new.http_token) == _PUMP
    assert len(registry.devices()) == 1


@pytest.mark.parametrize("token", ["", "x", "ü", "\udcff", "a" * 10_000])
def test_registry_unknown_token_is_nobodys(registry: Registry, token: str) -> None:
    """Whatever is sent as a token."""
    registry.add(_PUMP)

    assert registry.device_of_token(token) is None


def test_registry_changes_of_another_process_are_seen(registry: Registry, tmp_path: Path) -> None:
    """A second connection's change raises the version and is there at once."""
    before = registry.version()

    credentials = Registry(tmp_path / "fleet.db", new_account=new_account).add(_PUMP)

    assert registry.version() > before
    assert registry.device_of_token(credentials.http_token) == _PUMP


def test_registry_seen_device_has_no_account(registry: Registry) -> None:
    """A device on an external broker registers itself; a known one stays as it is."""
    registry.add(_PUMP)
    version = registry.version()

    registry.register_all_seen([_PUMP, _FAN, _FAN], 99)
    registry.register_seen(_FAN, 100)

    assert [(one.device, one.created_at_ms) for one in registry.devices()] == [
        ("fan", 99),
        ("pump", 7),
    ]
    assert len(registry.accounts()) == 1
    assert registry.version() == version
    assert registry.devices("nobody") == []


def test_registry_newcomers_do_not_cost_the_whole_fleet(registry: Registry) -> None:
    """Every batch with a newcomer registers it: the others must not be read for that."""
    seen: list[str] = []
    registry._connection.set_trace_callback(seen.append)

    registry.register_all_seen([_PUMP], 99)

    assert [statement for statement in seen if "SELECT" in statement] == []
    assert registry.get(_PUMP) is not None


def test_registry_broken_file_is_misconfigured(tmp_path: Path) -> None:
    """A file that is no database names itself."""
    (tmp_path / "fleet.db").write_text("this is no database " * 1000)

    with pytest.raises(Misconfigured, match=r"fleet\.db"):
        Registry(tmp_path / "fleet.db", new_account=new_account)


@pytest.mark.anyio
async def test_devices_are_shown_with_presence_and_values(registry: Registry) -> None:
    """The list says who is there, one device also what it said last."""
    registry.add(_PUMP)
    presence, store = Presence(), Memory()
    presence.heard(_PUMP, 50)
    await store.write(PointBatch([SeriesKey(*_PUMP, MetricName("t"))], [40], [21.5]))
    request = Request(query_params={}, path_params={"tenant": "acme", "device": "pump"})

    listed = await list_devices_step.handler(
        request, FakeContext(), registry=registry, presence=presence
    )
    shown = await get_device_step.handler(
        request, FakeContext(), registry=registry, presence=presence, telemetry=store
    )

    common = {"tenant": "acme", "device": "pump", "created_at_ms": 7, "last_heard_ms": 50}
    assert listed["body"]["devices"] == [{**common, "online": None}]
    assert shown["body"]["latest"] == [{"metric": "t", "ts_ms": 40, "value": 21.5}]


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["fan", "", "a/b", "x" * 99])
async def test_device_unknown_is_404(registry: Registry, name: str) -> None:
    """Nobody's name, and what cannot be a name."""
    request = Request(path_params={"tenant": "acme", "device": name})

    with pytest.raises(HTTPError) as refused:
        await get_device_step.handler(
            request,
            FakeContext(),
            registry=registry,
            presence=Presence(),
            telemetry=Memory(),
        )

    assert refused.value.status == 404


def test_registry_refuses_a_name_that_the_broker_cannot_take(registry: Registry) -> None:
    """A colon would end the name in the broker's password file: nothing is written."""
    with pytest.raises(Malformed, match="contains a colon"):
        registry.add(DeviceKey(tenant_id("t"), device_id("aa:bb")))

    assert registry.devices() == []


class _Away(Memory):
    """Does not answer."""

    async def latest(self, tenant: str | None = None, device: str | None = None) -> list[Latest]:
        raise StoreAway("the disk is full")


@pytest.mark.anyio
async def test_device_of_a_store_that_is_away_is_the_runtimes_to_answer(
    registry: Registry,
) -> None:
    """The step lets it pass: the runtime knows it by its own class, and answers 503."""
    registry.add(_PUMP)
    request = Request(path_params={"tenant": "acme", "device": "pump"})

    with pytest.raises(errors.StoreAway, match="disk is full"):
        await get_device_step.handler(
            request, FakeContext(), registry=registry, presence=Presence(), telemetry=_Away()
        )

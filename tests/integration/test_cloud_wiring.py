"""What `tidegate up` stands on: its folder, its children, its accounts, its broker's address."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

import anyio
import pytest

from broker.accounts import INGEST_USERNAME, Account, new_account
from cloud.accounts import Accounts
from cloud.brokers import closed_topics, parse_url
from cloud.children import Child, keep_running
from cloud.data_folder import DataFolder
from cloud.fleet.registry import Registry, RegistryAway
from cloud.settings import Broker, Ingest, Settings, Topic
from tests.support.instances import tidegate
from tests.support.steps import until
from tidegate.configuration import Secret
from tidegate.errors import Misconfigured
from wire.ids import DeviceKey, device_id, tenant_id

PUMP = DeviceKey(tenant_id("acme"), device_id("pump"))


def test_folder_is_held_by_one_and_free_after_it(tmp_path: Path) -> None:
    """A second holder is told who has the folder; when the first ends, it is free."""
    first, second = DataFolder(tmp_path / "data"), DataFolder(tmp_path / "data")
    first.prepare()

    with first.locked():
        with pytest.raises(Misconfigured, match=f"in use by process {os.getpid()}"):
            second.locked().__enter__()
        second.note_address("http://here")
        while_held = second.address_of_running()
    with second.locked():
        pass

    assert while_held == "http://here"
    assert second.address_of_running() is None


def test_folder_and_its_secrets_are_the_owners_alone(tmp_path: Path) -> None:
    """Nothing in the folder can be read by others, and a secret stays what it was."""
    folder = DataFolder(tmp_path / "data")
    before = os.umask(0o022)
    try:
        folder.prepare()
        token = folder.admin_token()
        with (folder.path / "made-later").open("w"):
            pass
    finally:
        os.umask(before)

    modes = [stat.S_IMODE(path.stat().st_mode) for path in [folder.path, *folder.path.iterdir()]]
    assert all(mode & 0o077 == 0 for mode in modes)
    assert folder.admin_token() == token


def test_folder_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    """A file in the way says what to do."""
    (tmp_path / "data").write_text("a file")

    with pytest.raises(Misconfigured, match="choose another with --data"):
        DataFolder(tmp_path / "data").prepare()


@pytest.mark.parametrize(
    ("url", "closed"), [(None, ["tele/{device}/#"]), (Secret("mqtt://broker.example"), [])]
)
def test_broker_of_ours_is_closed_to_topics_of_others(
    url: Secret | None, closed: list[str]
) -> None:
    """Rules for topics that its ACL lets nobody use are known; of another broker nobody knows."""
    rules = [
        Topic(topic=topic, tenant="home", format="tasmota")
        for topic in ("tele/{device}/#", "t/home/{device}/telemetry")
    ]

    settings = Settings(broker=Broker(url=url), ingest=Ingest(topics=rules))

    assert closed_topics(settings) == closed


@pytest.mark.parametrize(
    ("url", "host", "port", "username"),
    [
        ("mqtt://broker.example", "broker.example", 1883, None),
        ("mqtt://me:p%40ss@10.0.0.7:2883", "10.0.0.7", 2883, "me"),
        ("mqtt://[::1]:1884", "::1", 1884, None),
    ],
)
def test_broker_url_is_taken_apart(url: str, host: str, port: int, username: str | None) -> None:
    """Host, port and account come from the URL; the client id is the user name."""
    access = parse_url(Secret(url))

    assert (access.host, access.port, access.username) == (host, port, username)
    assert access.client_id == (username or INGEST_USERNAME)


@pytest.mark.parametrize("url", ["http://x", "mqtt://", "mqtt://[::1", "mqtt://x:99999", "x"])
def test_broker_url_that_is_none_is_not_repeated(url: str) -> None:
    """The error names the key, never the URL: it may hold a password."""
    with pytest.raises(Misconfigured, match=r"broker\.url") as refused:
        parse_url(Secret(url.replace("//", "//me:hunter2@")))

    assert "hunter2" not in str(refused.value)


@pytest.mark.anyio
async def test_child_that_dies_before_it_reads_is_started_again(tmp_path: Path) -> None:
    """A child that ends at once, its input unread, ends nothing but itself."""
    (tmp_path / "dies.py").write_text("open('starts', 'a').write('x')\nraise SystemExit(3)\n")
    script = Child("dies", "dies", {"PYTHONPATH": str(tmp_path)}, stdin=b"x" * 2_000_000)
    starts = tmp_path / "starts"
    here = Path.cwd()
    os.chdir(tmp_path)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(keep_running, script)
            await until(lambda: starts.exists() and len(starts.read_text()) > 1, timeout_s=15)
            tasks.cancel_scope.cancel()
    finally:
        os.chdir(here)

    assert len(starts.read_text()) > 1


class _Broker:
    """A broker that only remembers who may connect."""

    name, supports_mqtt5 = "remembers", True

    def __init__(self) -> None:
        self.accounts: list[Account] = []

    async def set_accounts(self, accounts: Iterable[Account]) -> None:
        self.accounts = list(accounts)

    async def wait_ended(self) -> None:
        await anyio.sleep_forever()


class _AwayOnce(Registry):
    """A registry that is locked by another process the first time it is asked."""

    away = 1

    def version(self) -> int:
        if self.away and self.asked:
            self.away -= 1
            raise RegistryAway("locked")
        return super().version()

    asked = False


@pytest.mark.anyio
async def test_accounts_follow_the_registry_over_its_absence(tmp_path: Path) -> None:
    """A device added later reaches the broker, although the registry was away in between."""
    registry = _AwayOnce(tmp_path / "fleet.db", new_account=new_account)
    accounts, broker = Accounts(registry), _Broker()
    at_start = [account.username for account in accounts.all()]
    registry.asked = True

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(accounts.follow, broker)
        registry.add(PUMP)
        await until(lambda: len(broker.accounts) > 1)
        tasks.cancel_scope.cancel()
    registry.close()

    assert at_start == [INGEST_USERNAME]
    assert registry.away == 0
    assert [account.username for account in broker.accounts] == [INGEST_USERNAME, "acme/pump"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("up", "--port", "99999"), "--port"),
        (("up", "--mqtt-port", "0"), "--mqtt-port"),
        (("up", "--log-level", "BANANA"), "BANANA"),
        (("up", "--config", "nowhere.toml"), "nowhere.toml: no such file"),
        (("device", "add", "acme", "pump", "--data", "nowhere"), "there is no data folder"),
        (("report", "--data", "nowhere"), "there is no data folder"),
        (("bogus",), "no command 'bogus'"),
    ],
)
def test_command_mistakes_are_told_with_exit_code_2(arguments: tuple[str, ...], says: str) -> None:
    """What the user must correct is said without a traceback."""
    done = tidegate(*arguments)

    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_device_that_the_broker_cannot_take_is_refused(tmp_path: Path) -> None:
    """A name with a colon is one line, and no account is made."""
    DataFolder(tmp_path).prepare()

    done = tidegate("device", "add", "acme", "aa:bb", "--data", tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert "contains a colon" in done.stderr

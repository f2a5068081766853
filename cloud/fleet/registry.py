"""Which devices there are and what they log in with, in `fleet.db` (SQLite).

Several processes may use the file at once: `tidegate device add` while `tidegate up` runs.
Secrets are shown once, when they are made; only their hashes are kept. A token has 256 random
bits, so a plain SHA-256 is enough for it; the broker's password has the broker's own hash.
"""

import hashlib
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from tidegate.errors import Misconfigured, StoreAway
from wire.ids import DeviceId, DeviceKey, TenantId
from wire.topics import account_name

_PASSWORD_BYTES, _TOKEN_BYTES = 16, 32
_TOKEN_PREFIX = "tgd_"  # noqa: S105 - lets scanners of leaked secrets know ours

NewAccount = Callable[[str, str], tuple[str, str]]
_BUSY_S = 5.0
_SQL = resources.files("cloud.fleet") / "sql"


class RegistryAway(StoreAway):
    """The registry's file cannot be read or written now (locked, disk full); try again."""


class Device(msgspec.Struct, frozen=True):
    """A device, and since when we know it (Unix ms)."""

    tenant: str
    device: str
    created_at_ms: int


class Credentials(msgspec.Struct, frozen=True):
    """What a device logs in with; its MQTT client id is its user name."""

    mqtt_username: str
    mqtt_password: str
    http_token: str


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


class Registry:
    """The devices. Calls are short and block; any thread may make them.

    `new_account(username, password)` gives the user name and the hash that the broker takes.
    """

    def __init__(
        self,
        path: Path,
        *,
        new_account: NewAccount,
        now_ms: Callable[[], int] = _wall_clock_ms,
    ) -> None:
        self._new_account = new_account
        self._now_ms = now_ms
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.executescript((_SQL / "schema.sql").read_text("utf-8"))
        except (sqlite3.Error, OSError) as exc:
            raise Misconfigured(f"{path} cannot be opened as the device registry: {exc}") from exc
        with suppress(OSError):  # a file system without modes keeps the folder's protection
            path.chmod(0o600)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def add(self, device: DeviceKey) -> Credentials:
        """Make a device's credentials; one that has some gets new ones, the old end at once.

        Raises:
            Malformed: the broker could not take such a name.
        """
        # Hexadecimal, so that no shell and no option parser takes any of it for something else.
        password = secrets.token_hex(_PASSWORD_BYTES)
        token = _TOKEN_PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)
        username, password_hash = self._new_account(account_name(device), password)
        row = {
            "tenant": device.tenant,
            "device": device.device,
            "created_at_ms": self._now_ms(),
            "password_hash": password_hash,
            "token_hash": _token_hash(token),
        }
        put = (_SQL / "put_credentials.sql").read_text("utf-8")
        with self._changing() as connection:
            connection.execute(put, row)
            connection.execute("UPDATE version SET number = number + 1")
        return Credentials(username, password, token)

    def register_seen(self, device: DeviceKey, now_ms: int) -> None:
        """Note a device that was first seen on its topic; a known one stays as it is."""
        self.register_all_seen([device], now_ms)

    def register_all_seen(self, devices: Iterable[DeviceKey], now_ms: int) -> None:
        """As `register_seen`, for many in one transaction."""
        rows = [(*device, now_ms) for device in devices]
        with self._changing() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO devices (tenant, device, created_at_ms) VALUES (?, ?, ?)",
                rows,
            )

    def devices(self, tenant: str | None = None) -> list[Device]:
        """Return the devices of a tenant or of all, ordered by name."""
        rows = self._rows(
            "SELECT tenant, device, created_at_ms FROM devices"
            " WHERE ?1 IS NULL OR tenant = ?1 ORDER BY tenant, device",
            (tenant,),
        )
        return [Device(*row) for row in rows]

    def get(self, device: DeviceKey) -> Device | None:
        """Return a device, None when we do not know it."""
        rows = self._rows(
            "SELECT tenant, device, created_at_ms FROM devices WHERE tenant = ? AND device = ?",
            device,
        )
        return Device(*rows[0]) if rows else None

    def device_of_token(self, token: str) -> DeviceKey | None:
        """Return whose HTTP token this is."""
        rows = self._rows(
            "SELECT tenant, device FROM devices WHERE token_hash = ?", (_token_hash(token),)
        )
        return DeviceKey(TenantId(rows[0][0]), DeviceId(rows[0][1])) if rows else None

    def accounts(self) -> list[tuple[str, str]]:
        """Return (user name, password hash) of every device that has a password of ours."""
        rows = self._rows(
            "SELECT tenant, device, password_hash FROM devices WHERE password_hash IS NOT NULL"
            " ORDER BY tenant, device",
            (),
        )
        return [
            (account_name(DeviceKey(TenantId(tenant), DeviceId(device))), password_hash)
            for tenant, device, password_hash in rows
        ]

    def version(self) -> int:
        """Return a number that grows with every change of an account, by whatever process."""
        return int(self._rows("SELECT number FROM version", ())[0][0])

    def _rows(self, sql: str, values: tuple[object, ...]) -> list[Any]:
        try:
            with self._lock:
                return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as exc:
            raise RegistryAway(f"the device registry does not answer: {exc}") from exc

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._lock, self._connection as connection:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
        except sqlite3.Error as exc:
            raise RegistryAway(f"the device registry cannot be changed: {exc}") from exc


def _token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()

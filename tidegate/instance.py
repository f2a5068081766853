"""The folder of one instance: one process holds it, secrets are made at the first start.

A process notes its address here, so that commands on the same folder find it.
"""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar, TextIO

from tidegate.errors import Misconfigured
from tidegate.files import write_whole

_TOKEN_BYTES = 32


class InstanceFolder:
    """Where one instance keeps everything; nothing outside of it is written."""

    subfolders: ClassVar[tuple[str, ...]] = ()
    started_by: ClassVar[str] = "'tidegate start' or 'tidegate up'"

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.state = self.path / "state.db"

    def prepare(self) -> None:
        """Make the folders.

        Raises:
            Misconfigured: the folder cannot be made or written.
        """
        # Databases make files of their own: nothing in the folder is for others to read.
        os.umask(0o077)
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name in self.subfolders:
                (self.path / name).mkdir(mode=0o700, exist_ok=True)
            (self.path / ".writable").write_text("", "utf-8")
        except OSError as exc:
            raise Misconfigured(
                f"data folder {self.path} cannot be written ({exc.strerror}); "
                "choose another with --data"
            ) from exc

    def require(self) -> None:
        """Raise `Misconfigured` when there is no such folder: commands beside `up` make none."""
        if not self.path.is_dir():
            raise Misconfigured(
                f"there is no data folder {self.path}; "
                f"start {self.started_by} first, or correct --data"
            )
        os.umask(0o077)

    @contextmanager
    def locked(self, *, shared: bool = False) -> Iterator[None]:
        """Hold the folder; the lock goes with the process, however it ends.

        Processes that each do a part of the work share it.

        Raises:
            Misconfigured: another instance holds it.
        """
        with self._lock_file() as file:
            try:
                fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            except OSError as exc:
                file.seek(0)
                holder = file.read().strip() or "unknown"
                raise Misconfigured(
                    f"data folder {self.path} is in use by process {holder}; "
                    "stop it or choose another with --data"
                ) from exc
            with suppress(OSError):  # The number is only for people; a full disk takes none.
                file.truncate(0)
                file.write(str(os.getpid()))
                file.flush()
            yield

    def _lock_file(self) -> TextIO:
        try:
            return (self.path / "lock").open("a+", encoding="utf-8")
        except OSError as exc:
            raise Misconfigured(
                f"data folder {self.path}: its lock cannot be opened ({exc.strerror}); "
                "it belongs to another user, or the disk is full"
            ) from exc

    def note_address(self, address: str) -> None:
        """Say where the running instance answers, for commands on the same folder."""
        write_whole(self.path / "address", address.encode())

    def address_of_running(self) -> str | None:
        """Return the address of the instance that holds the folder, None when none runs."""
        lock, address = self.path / "lock", self.path / "address"
        if not lock.exists() or not address.exists():
            return None
        with lock.open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return address.read_text("utf-8").strip()
        return None

    def admin_token(self) -> str:
        """Return the administrator's bearer token, made at the first call."""
        return self.secret("admin.token", _TOKEN_BYTES)

    def secret(self, name: str, size_bytes: int) -> str:
        """Return a secret of that name, made at the first call; only the owner reads its file."""
        file = self.path / name
        if not file.exists():
            write_whole(file, secrets.token_urlsafe(size_bytes).encode() + b"\n")
        return file.read_text("utf-8").strip()

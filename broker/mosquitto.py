"""Mosquitto as a child process: started, supervised, given new accounts, stopped."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import anyio
import anyio.abc
import anyio.to_thread
import structlog

from broker.accounts import Account, render_password_file
from broker.admission import admitted
from broker.conf import render_conf
from broker.installed import Program
from broker.listening import check_free, wait_answering
from broker.logfile import last_line, shorten, start_log
from broker.orphan import stop_orphan, write_pid_file
from broker.port import BrokerEnded
from broker.rules import Rules, parse_rules, render_for_accounts
from tidegate.errors import Misconfigured

_LOG = structlog.get_logger()
_HERE = Path(__file__).parent
_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 10.0
_LOOK_AT_LOG_EVERY_S = 30.0
RESTART_PAUSES_S = (0.1, 0.5, 2.0, 5.0, 10.0)
_STEADY_AFTER_S = 60.0


class DoesNotStart(Misconfigured):
    """Mosquitto was started and ended again; the message holds the last line of its log."""


class Mosquitto:
    """A supervised Mosquitto; made by `run_mosquitto`."""

    supports_mqtt5 = True

    def __init__(
        self,
        program: Program,
        *,
        host: str,
        port: int,
        folder: Path,
        restart_pauses_s: Sequence[float],
    ) -> None:
        self.name = f"mosquitto {program.version}"
        self._program = program
        self._address = (host, port)
        self._folder = folder = folder.resolve()
        self._conf = folder / "mosquitto.conf"
        self._pid_file = folder / "mosquitto.pid"
        self._log = folder / "mosquitto.log"
        self._rules: Rules = parse_rules((_HERE / "acl").read_text("utf-8"))
        self._restart_pauses_s = restart_pauses_s
        self._process: anyio.abc.Process | None = None
        self._answers = False
        self._unread = False
        self._writing = anyio.Lock()
        self._ended = anyio.Event()
        self._failure = ""

    async def set_accounts(self, accounts: Iterable[Account]) -> None:
        """Write the accounts and have Mosquitto read them again; see `Broker`."""
        async with self._writing:
            changed = await anyio.to_thread.run_sync(self._write_accounts, list(accounts))
            self._unread |= changed
            self._have_accounts_read()

    async def wait_ended(self) -> None:
        """Wait for the end of the supervision; see `Broker`."""
        await self._ended.wait()
        raise BrokerEnded(f"mosquitto ended and does not stay up: {self._failure}")

    async def start(self, accounts: Iterable[Account]) -> None:
        """Stop what an earlier run left behind, then start.

        Raises:
            Misconfigured: the address is taken, the folder is in use, Mosquitto does not start.
        """
        await stop_orphan(self._pid_file, conf=self._conf)
        check_free(*self._address)
        try:
            self._write_accounts(accounts)
            self._conf.write_text(self._render_conf(), "utf-8")
            await self._spawn()
        except OSError as exc:
            raise Misconfigured(f"{self._folder}: cannot be used: {exc.strerror}") from exc

    async def supervise(self) -> None:
        """Start Mosquitto again whenever it ends; give up when it fails again and again."""
        failures = 0
        while True:
            started_at = anyio.current_time()
            code = await self._wait_process()
            self._answers = False
            if anyio.current_time() - started_at > _STEADY_AFTER_S:
                failures = 0
            self._failure = last_line(self._log)
            _LOG.error("broker.ended", code=code, last_line=self._failure, failures=failures)
            if not await self._restarted(self._restart_pauses_s[failures:]):
                self._ended.set()
                return
            failures += 1

    async def stop(self) -> None:
        """Stop Mosquitto, which saves its sessions."""
        process, self._process = self._process, None
        if process is None:
            return
        with anyio.CancelScope(shield=True):
            if process.returncode is None:
                process.terminate()
            with anyio.move_on_after(_STOP_TIMEOUT_S):
                await process.wait()
            if process.returncode is None:
                _LOG.error("broker.killed", reason="did not end after SIGTERM")
                process.kill()
                await process.wait()
            self._pid_file.unlink(missing_ok=True)

    async def _restarted(self, pauses_s: Iterable[float]) -> bool:
        for pause_s in pauses_s:
            await anyio.sleep(pause_s)
            try:
                await self._spawn()
            except (DoesNotStart, OSError) as exc:
                self._failure = str(exc)
                _LOG.warning("broker.restart_failed", reason=self._failure)
            else:
                _LOG.info("broker.restarted", name=self.name)
                return True
        return False

    async def _spawn(self) -> None:
        with start_log(self._log) as log:
            self._process = await self._open_process(log)
        write_pid_file(self._pid_file, self._process.pid)
        with anyio.move_on_after(_START_TIMEOUT_S):
            async with anyio.create_task_group() as group:
                group.start_soon(self._cancel_when_ended, group.cancel_scope)
                await wait_answering(*self._address)
                group.cancel_scope.cancel()
                self._answers = True
                self._have_accounts_read()
                return
        reason = last_line(self._log)
        await self.stop()
        raise DoesNotStart(f"mosquitto does not start: {reason} (log: {self._log})")

    async def _open_process(self, log: IO[bytes]) -> anyio.abc.Process:
        tether = [sys.executable, "-I", "-S", str(_HERE / "tether.py"), str(os.getpid())]
        return await anyio.open_process(
            [*tether, self._program.path, "-c", str(self._conf)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # A terminal's Ctrl-C goes to a whole group of processes; ours stops the broker last.
            start_new_session=True,
        )

    def _have_accounts_read(self) -> None:
        """Send SIGHUP, but not while Mosquitto starts: before it handles that it would end."""
        if self._answers and self._unread and self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGHUP)
            self._unread = False

    async def _cancel_when_ended(self, scope: anyio.CancelScope) -> None:
        if self._process is not None:
            await self._process.wait()
        scope.cancel()

    async def _wait_process(self) -> int | None:
        while self._process is not None:
            with anyio.move_on_after(_LOOK_AT_LOG_EVERY_S):
                return await self._process.wait()
            shorten(self._log)
        return None

    def _write_accounts(self, accounts: Iterable[Account]) -> bool:
        """Write what changed; tell whether something did."""
        accounts = admitted(accounts)
        changed = _replace(self._folder / "accounts", render_password_file(accounts))
        if not self._program.patterns_cover_slashes:
            names = [account.username for account in accounts]
            changed |= _replace(self._folder / "acl", render_for_accounts(self._rules, names))
        return changed

    def _render_conf(self) -> str:
        host, port = self._address
        own_acl = not self._program.patterns_cover_slashes
        return render_conf(
            (_HERE / "mosquitto.conf").read_text("utf-8"),
            host=host,
            port=port,
            folder=self._folder,
            acl_file=self._folder / "acl" if own_acl else _HERE / "acl",
            # As root it would become another user, who cannot read a private data folder.
            user="root" if os.geteuid() == 0 else None,
        )


@asynccontextmanager
async def run_mosquitto(
    program: Program,
    *,
    host: str,
    port: int,
    folder: Path,
    accounts: Iterable[Account],
    restart_pauses_s: Sequence[float] = RESTART_PAUSES_S,
) -> AsyncIterator[Mosquitto]:
    """Run Mosquitto below `folder`, under supervision, until the context ends."""
    broker = Mosquitto(
        program, host=host, port=port, folder=folder, restart_pauses_s=restart_pauses_s
    )
    try:
        await broker.start(accounts)
        async with anyio.create_task_group() as group:
            group.start_soon(broker.supervise)
            try:
                yield broker
            finally:
                group.cancel_scope.cancel()
    finally:
        await broker.stop()


def _replace(path: Path, text: str) -> bool:
    """Write a private file at once or not at all; tell whether it changed."""
    try:
        if path.read_text("utf-8") == text:
            return False
    except FileNotFoundError:
        pass
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    return True

"""Check the machine: Python, disk, clock, port, the libraries of PDF reports."""

import ctypes
import shutil
import sys
import tempfile
from collections.abc import Iterator
from ctypes.util import find_library
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import tidegate
from tidegate.doctor.finding import Finding, fail, ok, warn
from tidegate.errors import Misconfigured
from tidegate.http.server import bind

_OLDEST_PYTHON = (3, 11)
_IN_MEMORY = ("tmpfs", "ramfs", "devtmpfs")
_OVER_NETWORK = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "glusterfs", "ceph")
_MIB = 1024 * 1024
_LEAST_FREE_BYTES = 200 * _MIB
_LITTLE_FREE_BYTES = 1024 * _MIB
_SLACK_S = 24 * 3600
_LAST_YEAR = 2100
# As WeasyPrint looks for them.
_LIBRARIES = ("pango-1.0", "pangoft2-1.0", "harfbuzz", "harfbuzz-subset", "fontconfig")


def check_python() -> Finding:
    """Tell whether this Python is recent enough."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < _OLDEST_PYTHON:
        return fail("python", version, "install Python 3.11 or newer")
    return ok("python", version)


def check_folder(data: Path) -> Iterator[Finding]:
    """Tell whether the data folder, or the place where it would be made, is fit for data."""
    place = next(path for path in (data, *data.parents) if path.exists())
    if not place.is_dir():
        yield fail("data", f"{place} is no folder", "choose another with --data")
        return
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"x")
    except OSError as exc:
        reason = f"{place} cannot be written ({exc.strerror})"
        yield fail("data", reason, "choose another with --data, or change its owner")
        return
    yield ok("data", f"{data} {'is' if place == data else 'can be made and is'} writable")
    yield _kind_of_disk(place, _mounts())
    yield _free_space(shutil.disk_usage(place).free)


def check_clock(now: datetime, data: Path) -> Finding:
    """Tell whether the clock can be right: leases, sessions and readings go by it."""
    advice = "set the clock: timedatectl set-ntp true"
    built = datetime.fromtimestamp(Path(tidegate.__file__).stat().st_mtime, UTC)
    if (built - now).total_seconds() > _SLACK_S or now.year >= _LAST_YEAR:
        return fail("clock", f"says {now:%Y-%m-%d %H:%M} UTC", advice)
    for file in (data / "state.db-wal", data / "state.db"):
        if file.exists() and file.stat().st_mtime - now.timestamp() > _SLACK_S:
            return warn("clock", f"{file} was written in the future", advice)
    return ok("clock", f"{now:%Y-%m-%d %H:%M} UTC")


def check_port(host: str, port: int) -> Finding:
    """Tell whether somebody else listens."""
    try:
        bind(host, port).close()
    except Misconfigured as exc:
        return fail("port", str(exc).partition(";")[0], "choose another with --port")
    return ok("port", f"{host}:{port} is free")


def check_reports() -> Finding:
    """Tell whether PDF reports can be made."""
    if find_spec("weasyprint") is None:
        return ok("reports", "not installed: pip install 'tidegate[reports]' for PDF reports")
    missing = [name for name in _LIBRARIES if not _can_be_loaded(name)]
    if missing:
        advice = "apt install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
        return warn("reports", f"libraries are missing: {', '.join(missing)}", advice)
    return ok("reports", "the libraries of WeasyPrint are there")


def kind_of_mount(place: Path, mounts: str) -> str:
    """Return the type of the file system that holds a folder, from the text of /proc/mounts."""
    best, kind = Path("/nowhere"), ""
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 3:  # noqa: PLR2004 - device, place, type
            continue
        # A space in a path is written as an octal number.
        mount = Path(fields[1].replace("\\040", " "))
        if place.is_relative_to(mount) and (not kind or len(mount.parts) >= len(best.parts)):
            best, kind = mount, fields[2]
    return kind


def _kind_of_disk(place: Path, mounts: str) -> Finding:
    kind = kind_of_mount(place.resolve(), mounts)
    if kind in _IN_MEMORY:
        return warn("disk", f"{place} is in memory ({kind}): a restart of the machine empties it",
                    "choose a folder on a disk with --data")  # fmt: skip
    if kind in _OVER_NETWORK:
        return warn("disk", f"{place} is on a network file system ({kind}): SQLite may break there",
                    "choose a folder on a disk, or --store postgresql://…")  # fmt: skip
    return ok("disk", kind or "of a kind that cannot be told here")


def _free_space(free_bytes: int) -> Finding:
    text = f"{free_bytes // _MIB} MiB are free"
    if free_bytes < _LEAST_FREE_BYTES:
        return fail("space", text, "free some, or choose another disk with --data")
    if free_bytes < _LITTLE_FREE_BYTES:
        return warn("space", text, "free some, or choose another disk with --data")
    return ok("space", text)


def _mounts() -> str:
    file = Path("/proc/mounts")
    return file.read_text("utf-8", "replace") if file.exists() else ""


def _can_be_loaded(name: str) -> bool:
    for candidate in (f"lib{name}.so.0", f"lib{name}.so.1", find_library(name)):
        try:
            if candidate:
                ctypes.CDLL(candidate)
                return True
        except OSError:
            continue
    return False

"""The data folder of the whole platform: paths of its files, its password, small secret records."""

import json
from pathlib import Path
from typing import Any, ClassVar

from tidegate.files import write_whole
from tidegate.instance import InstanceFolder

_PASSWORD_BYTES = 12


class DataFolder(InstanceFolder):
    """Where an installation keeps everything; nothing outside of it is written."""

    subfolders: ClassVar[tuple[str, ...]] = ("broker", "reports", "outbox", "agent", "spool")
    started_by: ClassVar[str] = "'tidegate up'"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.ingest = self.path / "ingest.db"
        self.fleet = self.path / "fleet.db"
        self.spool = self.path / "spool"
        self.broker = self.path / "broker"
        self.reports = self.path / "reports"
        self.outbox = self.path / "outbox"
        self.agent = self.path / "agent"
        self.detectors = self.path / "detectors.npz"

    def admin_password(self) -> str:
        """Return the password made for the first login."""
        return self.secret("admin.password", _PASSWORD_BYTES)

    def remembered(self, name: str) -> dict[str, Any] | None:
        """Return what `remember` kept under a name."""
        file = self.path / f"{name}.json"
        if not file.exists():
            return None
        kept: dict[str, Any] = json.loads(file.read_text("utf-8"))
        return kept

    def remember(self, name: str, value: dict[str, Any]) -> None:
        """Keep a small secret record, readable by the owner only."""
        write_whole(self.path / f"{name}.json", json.dumps(value).encode())

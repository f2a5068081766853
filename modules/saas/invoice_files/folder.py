"""PDFs of invoices in a folder: `invoices/TENANT/NUMBER.pdf`."""

import re
from pathlib import Path

from anyio import to_thread

from modules.saas.tenants import TENANT_ID
from tidegate.files import write_whole

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,99}")


class FolderInvoiceFiles:
    """See `port.InvoiceFiles`. A file is written whole or not at all, mode 0600."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def write(self, tenant_id: str, number: str, content: bytes) -> None:
        """Keep a PDF, durable on return."""
        path = self._path(tenant_id, number)

        def write() -> None:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, content)

        await to_thread.run_sync(write)

    async def read(self, tenant_id: str, number: str) -> bytes | None:
        """Return a PDF, None when there is none."""
        path = self._path(tenant_id, number)

        def read() -> bytes | None:
            return path.read_bytes() if path.is_file() else None

        return await to_thread.run_sync(read)

    def _path(self, tenant_id: str, number: str) -> Path:
        """Return the path; raise `ValueError` for names that could lead out of the folder."""
        if not re.match(TENANT_ID, tenant_id) or not _NAME.fullmatch(number):
            raise ValueError(f"no name of a file: {tenant_id[:64]!r}, {number[:100]!r}")
        return self._root / tenant_id / f"{number}.pdf"

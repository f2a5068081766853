"""One suite for all that keeps the PDFs of invoices."""

from pathlib import Path

import pytest

from modules.saas.invoice_files.folder import FolderInvoiceFiles
from modules.saas.invoice_files.memory import MemoryInvoiceFiles
from modules.saas.invoice_files.port import InvoiceFiles

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["memory", "folder"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> InvoiceFiles:
    """Each adapter."""
    return MemoryInvoiceFiles() if request.param == "memory" else FolderInvoiceFiles(tmp_path)


async def test_invoice_files_read_what_was_written(files: InvoiceFiles) -> None:
    """The last content of a name is read back; other tenants have their own."""
    for content in (b"old", b"new"):
        await files.write("acme", "acme-00001", content)
    await files.write("globex", "acme-00001", b"theirs")

    assert await files.read("acme", "acme-00001") == b"new"
    assert await files.read("globex", "acme-00001") == b"theirs"


async def test_invoice_files_say_when_there_is_none(files: InvoiceFiles) -> None:
    """What was never written is None, not an error."""
    assert await files.read("acme", "acme-00009") is None


@pytest.mark.parametrize(
    ("tenant_id", "number"),
    [("..", "x"), ("acme", "../globex/x"), ("a/b", "x"), ("acme", ""), ("acme\n", "x"), ("", "x")],
)
async def test_invoice_folder_is_not_left(tmp_path: Path, tenant_id: str, number: str) -> None:
    """No name of a tenant or an invoice leads to another folder."""
    folder = FolderInvoiceFiles(tmp_path / "invoices")

    with pytest.raises(ValueError, match="no name of a file"):
        await folder.write(tenant_id, number, b"x")
    with pytest.raises(ValueError, match="no name of a file"):
        await folder.read(tenant_id, number)


async def test_invoice_folder_is_private_and_named_by_tenant(tmp_path: Path) -> None:
    """An operator finds a tenant's invoices; other users of the machine read none."""
    await FolderInvoiceFiles(tmp_path).write("acme", "acme-00001", b"x")

    file = tmp_path / "acme" / "acme-00001.pdf"
    assert file.read_bytes() == b"x"
    assert file.stat().st_mode & 0o077 == 0

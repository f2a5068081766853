"""Bodies that are forms: the fields, and the files that came with them."""

from collections.abc import Mapping, MutableMapping
from io import BytesIO
from typing import Any, NamedTuple

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request as StarletteRequest

from tidegate.errors import HTTPError

_FORMS = (b"application/x-www-form-urlencoded", b"multipart/form-data")


class Upload(NamedTuple):
    """A file as it came, kept over the runs of an invocation."""

    filename: str
    content_type: str
    content: bytes


class File:
    """A file of a form, as a handler reads it."""

    def __init__(self, upload: Upload) -> None:
        self.filename = upload.filename
        self.content_type = upload.content_type
        self.size = len(upload.content)
        self._content = BytesIO(upload.content)

    async def read(self, size: int = -1) -> bytes:
        """Read on, at most `size` bytes; b"" at the end."""
        return self._content.read(size)

    async def seek(self, position: int) -> None:
        """Read from there next."""
        self._content.seek(position)


def is_form(content_type: bytes) -> bool:
    """Tell whether a Content-Type is that of a form."""
    return content_type.partition(b";")[0].strip().lower() in _FORMS


async def read_form(
    scope: MutableMapping[str, Any], raw_body: bytes
) -> tuple[Mapping[str, str], Mapping[str, Upload]]:
    """Return fields and files; of what came several times the last counts.

    Raises:
        HTTPError: 400, the body is no such form.
    """

    async def replay() -> dict[str, object]:
        return {"type": "http.request", "body": raw_body, "more_body": False}

    fields: dict[str, str] = {}
    uploads: dict[str, Upload] = {}
    try:
        async with StarletteRequest(scope, replay).form() as form:
            for name, value in form.multi_items():
                if isinstance(value, UploadFile):
                    uploads[name] = await _kept(value)
                else:
                    fields[name] = value
    except (HTTPException, MultiPartException) as exc:
        reason = exc.detail if isinstance(exc, HTTPException) else exc.message
        raise HTTPError(400, f"form cannot be read: {reason}") from exc
    return fields, uploads


async def _kept(file: UploadFile) -> Upload:
    kind = file.content_type or "application/octet-stream"
    return Upload(file.filename or "", kind, await file.read())

"""Bodies of telemetry over HTTP: how large they may be, and how they are packed. Pure."""

from collections.abc import Mapping

from tidegate.errors import HTTPError
from wire.codecs.checks import MAX_PAYLOAD_BYTES
from wire.codecs.packing import GZIP_MAGIC, ZSTD_MAGIC, unpacked
from wire.errors import Malformed, Oversized

_MAGIC = {"gzip": GZIP_MAGIC, "x-gzip": GZIP_MAGIC, "zstd": ZSTD_MAGIC}
_MAX_DIGITS = 18


def check_size(headers: Mapping[str, str]) -> None:
    """Refuse a body that says itself that it is too large, before it is read: 413."""
    length = headers.get("content-length", "")
    if length.isdigit() and (len(length) > _MAX_DIGITS or int(length) > MAX_PAYLOAD_BYTES):
        raise _too_large()


def plain_body(raw_body: bytes, headers: Mapping[str, str]) -> bytes:
    """Return a body without its content coding.

    One that cannot be unpacked comes back as it is: ingestion finds the same fault, and keeps it
    as a dead letter.

    Raises:
        HTTPError: 413, it is larger than a message may be, packed or unpacked; 415, the coding is
            none of gzip and zstd; 400, it is not coded as its header says.
    """
    if len(raw_body) > MAX_PAYLOAD_BYTES:
        raise _too_large()
    coding = headers.get("content-encoding", "").strip().lower()
    if coding in ("", "identity"):
        return raw_body
    magic = _MAGIC.get(coding)
    if magic is None:
        raise HTTPError(415, "Content-Encoding can be gzip, zstd or identity")
    if not raw_body.startswith(magic):
        raise HTTPError(400, f"the body is not {coding}, as its Content-Encoding says")
    try:
        return unpacked(raw_body, max_bytes=MAX_PAYLOAD_BYTES)
    except Oversized as exc:
        raise _too_large() from exc
    except Malformed:
        return raw_body


def _too_large() -> HTTPError:
    return HTTPError(413, f"more than {MAX_PAYLOAD_BYTES} bytes: send fewer readings at a time")

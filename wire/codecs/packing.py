"""Packed payloads: zstd and gzip, known by their first bytes, unpacked within a limit. Pure."""

import sys
import zlib

from wire.errors import Malformed, Oversized

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
GZIP_MAGIC = b"\x1f\x8b"
_FIRST_BYTES = (ZSTD_MAGIC[:1], GZIP_MAGIC[:1])
_GZIP_WINDOW = 31
# What unpacking may hold besides the result; a sender's larger window is refused.
_MAX_WINDOW_LOG = 23


def unpacked(payload: bytes, *, max_bytes: int) -> bytes:
    """Return a payload unpacked; one that is not packed comes back as it is.

    Raises:
        Oversized: it has more than `max_bytes` when unpacked.
        Malformed: it is damaged or cut off.
    """
    if payload[:1] not in _FIRST_BYTES:
        return payload
    if payload.startswith(ZSTD_MAGIC):
        return _unzstd(payload, max_bytes)
    if payload.startswith(GZIP_MAGIC):
        return _gunzip(payload, max_bytes)
    return payload


def _unzstd(payload: bytes, max_bytes: int) -> bytes:
    options = {zstd.DecompressionParameter.window_log_max.value: _MAX_WINDOW_LOG}
    unpacker = zstd.ZstdDecompressor(options=options)
    try:
        found = unpacker.decompress(payload, max_bytes + 1)
    except zstd.ZstdError as exc:
        raise Malformed(f"payload is not valid zstd: {exc}") from exc
    return _whole(found, max_bytes, is_complete=unpacker.eof, rest=unpacker.unused_data)


def _gunzip(payload: bytes, max_bytes: int) -> bytes:
    unpacker = zlib.decompressobj(_GZIP_WINDOW)
    try:
        found = unpacker.decompress(payload, max_bytes + 1)
    except zlib.error as exc:
        raise Malformed(f"payload is not valid gzip: {exc}") from exc
    return _whole(found, max_bytes, is_complete=unpacker.eof, rest=unpacker.unused_data)


def _whole(found: bytes, max_bytes: int, *, is_complete: bool, rest: bytes) -> bytes:
    if len(found) > max_bytes:
        raise Oversized(f"payload has more than {max_bytes} bytes when unpacked")
    if not is_complete:
        raise Malformed("packed payload is cut off")
    if rest:
        raise Malformed("packed payload has bytes behind its end")
    return found

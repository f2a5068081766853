"""Packed payloads: what they hold, and what they may not do to us."""

import contextlib
import gzip
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.codecs.packing import GZIP_MAGIC, ZSTD_MAGIC, unpacked
from wire.errors import Malformed

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_PACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": zstd.compress}
_LIMIT = 1_000


@pytest.mark.parametrize("kind", _PACK)
@given(payload=st.binary(max_size=_LIMIT))
def test_unpacked_is_what_was_packed(kind: str, payload: bytes) -> None:
    """Both kinds are known by their first bytes."""
    assert unpacked(_PACK[kind](payload), max_bytes=_LIMIT) == payload


def test_unpacked_leaves_the_rest_alone() -> None:
    """What begins otherwise is no packed payload."""
    assert unpacked(b'{"values":{}}', max_bytes=_LIMIT) == b'{"values":{}}'
    assert unpacked(b"(", max_bytes=_LIMIT) == b"("
    assert unpacked(b"", max_bytes=_LIMIT) == b""


@pytest.mark.parametrize("kind", _PACK)
def test_unpacked_bounds_what_comes_out(kind: str) -> None:
    """A bomb of a gigabyte is refused before it is there."""
    bomb = _PACK[kind](b"\0" * 50_000_000)

    with pytest.raises(Malformed, match="more than 1000 bytes"):
        unpacked(bomb, max_bytes=_LIMIT)


@pytest.mark.parametrize("kind", _PACK)
def test_unpacked_refuses_what_is_damaged(kind: str) -> None:
    """Cut off, followed by more, or broken: nothing of it is used."""
    whole = _PACK[kind](b"x" * 500)

    for damaged in (whole[:-1], whole[:6], whole + b"more"):
        with pytest.raises(Malformed):
            unpacked(damaged, max_bytes=_LIMIT)


@given(
    magic=st.sampled_from([ZSTD_MAGIC, GZIP_MAGIC, GZIP_MAGIC + b"\x08\x00"]),
    rest=st.binary(max_size=200),
)
def test_unpacked_survives_anything(magic: bytes, rest: bytes) -> None:
    """No other exception than the declared one."""
    with contextlib.suppress(Malformed):
        assert len(unpacked(magic + rest, max_bytes=_LIMIT)) <= _LIMIT


def test_unpacked_refuses_a_huge_window() -> None:
    """The window is memory that the sender asks us for."""
    options = {zstd.CompressionParameter.window_log.value: 27}
    packed = zstd.ZstdCompressor(options=options)
    frame = packed.compress(b"x" * 10) + packed.flush()

    with pytest.raises(Malformed, match="zstd"):
        unpacked(frame, max_bytes=_LIMIT)

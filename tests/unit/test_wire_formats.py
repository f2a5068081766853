"""Formats by name and by content type."""

import pytest

from wire.codecs.formats import OURS, SHIPPED, Format, Formats
from wire.errors import Malformed
from wire.messages import Decoded

_NONE = Format("nothing", lambda _payload: Decoded([]), ("application/x-nothing",))
_FORMATS = Formats([_NONE])


def test_formats_are_found_by_name() -> None:
    """A name that is nearly right is answered with the right one."""
    assert _FORMATS.named("nothing") is _NONE
    with pytest.raises(Malformed, match="nothing"):
        _FORMATS.named("nothin")


@pytest.mark.parametrize(
    "content_type", ["application/x-nothing", "Application/X-Nothing; charset=utf-8"]
)
def test_formats_are_found_by_content_type(content_type: str) -> None:
    """Parameters and case do not matter."""
    assert _FORMATS.of_content_type(content_type) is _NONE


def test_formats_take_the_unknown_for_ours() -> None:
    """Many clients send a type that means nothing; the payload then decides."""
    assert _FORMATS.of_content_type("text/html") is OURS
    assert _FORMATS.of_content_type("") is OURS


@pytest.mark.parametrize(
    ("content_type", "name"),
    [
        ("application/json", "tidegate"),
        ("application/msgpack", "msgpack"),
        ("application/vnd.msgpack", "msgpack"),
        ("application/x-msgpack", "msgpack"),
        ("application/senml+json", "senml-json"),
        ("application/sensml+json", "senml-json"),
        ("application/senml+cbor", "senml-cbor"),
        ("application/sensml+cbor; x=y", "senml-cbor"),
    ],
)
def test_formats_that_are_shipped_have_their_types(content_type: str, name: str) -> None:
    """Each type means one format."""
    assert SHIPPED.of_content_type(content_type).name == name
    assert SHIPPED.named(name).name == name


def test_formats_are_bound_to_topics() -> None:
    """A format that topics mean nothing to stays what it is."""
    by_level = Format(
        "x", OURS.decode, bind=lambda names: lambda _payload: Decoded([], first=int(names["n"]))
    )

    assert OURS.for_topic({"n": "5"}) is OURS
    assert by_level.for_topic({"n": "5"}).decode(b"").first == 5

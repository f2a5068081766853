"""The URL of a telemetry server: taken apart, and never repeated."""

import pytest

from cloud.timeseries.servers.address import parse_address
from cloud.timeseries.servers.answers import seconds_of
from tidegate.configuration import Secret
from tidegate.errors import Misconfigured


def test_address_of_influx_1_is_taken_apart() -> None:
    """User, password and database may be percent-encoded."""
    address = parse_address(Secret("influx://me:p%40ss@[::1]:9999/my%20db"))

    assert (address.http_url, address.database) == ("http://[::1]:9999", "my db")
    assert (address.user, address.password and address.password.reveal()) == ("me", "p@ss")


def test_address_of_influx_2_has_a_token_and_an_organisation() -> None:
    """Through TLS; a password without a user is a token."""
    address = parse_address(Secret("influxs://:abc%3D%3D@host/bucket?org=my%20org"))

    assert (address.http_url, address.org) == ("https://host:8086", "my org")
    assert (address.user, address.password and address.password.reveal()) == (None, "abc==")


def test_address_of_victoria_needs_no_name() -> None:
    """Its port is another, and there are no databases."""
    address = parse_address(Secret("victoria://host"))

    assert (address.http_url, address.database) == ("http://host:8428", "")


@pytest.mark.parametrize(
    "url",
    [
        "influx://me:hunter2@host",
        "influx://me:hunter2@host:99999/db",
        "influx://me:hunter2@/db",
        "influx://me:hunter2@host/db?bucket=x",
        "influx://me:hunter2@host/db?org",
        "influx://me:hunter2@[host/db",
        "influx://me:hunter2%0A@host/db",
        "influx://:hunter2%0D@host/db",
        "influx://:hunter2%C3%BC@host/db",
        "other://me:hunter2@host/db",
    ],
)
def test_address_that_is_none_is_not_repeated(url: str) -> None:
    """It says how to write one, never the password."""
    with pytest.raises(Misconfigured, match=r"timeseries\.url") as refused:
        parse_address(Secret(url))

    assert "hunter2" not in str(refused.value)


def test_address_shows_no_password() -> None:
    """Neither itself nor what messages call it."""
    address = parse_address(Secret("influx://me:hunter2@host/db"))

    assert "hunter2" not in f"{address} {address!r} {address.name} {address.http_url}"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("0.5", 0.5), ("999999", 600.0), ("-3", 0.0), ("soon", None), ("nan", None)],
)
def test_retry_after_is_bounded(header: str, seconds: float | None) -> None:
    """A number of seconds, at most ten minutes; anything else is no answer."""
    assert seconds_of(header) == seconds
    assert seconds_of(None) is None

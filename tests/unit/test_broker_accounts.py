"""Accounts: names that are refused, hashes, the password file."""

import pytest

from broker.accounts import (
    INGEST_USERNAME,
    Account,
    check_username,
    hash_password,
    render_password_file,
    verify_password,
)
from broker.admission import admitted
from wire.errors import Malformed

# Made by mosquitto_passwd 2.0.11 for the password "geheim".
FOREIGN_HASH = (
    "$7$101$fFz5o9dud+WVdWzu$CPyLW48IANg1N0L/AY0hNBf1IqNNGH2rgk0ULae3YY3zm037ssT/CrjhGAAZAliyPkJESaJ"
    "lzMyX2Ib3dq7Osg=="
)


@pytest.mark.parametrize("name", ["acme/pump-1", INGEST_USERNAME, "a b/ü 1", "%u/%c", "a/$b"])
def test_check_username_takes_ordinary_names(name: str) -> None:
    """A tenant and a device, or the name of a service."""
    check_username(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a/+",
        "+",
        "#",
        "#comment",
        "acme/evil#",
        "acme:x/pump",
        "acme/pump\n",
        "acme/pump\x00",
        "acme/pump/cmd",
        "acme/",
        "/pump",
        "//",
        "acme/ pump",
        " acme/pump",
        "a/\ud800",
        "a/" + "x" * 1023,
    ],
)
def test_check_username_refuses_names_that_reach_too_far(name: str) -> None:
    """Wildcards, separators of the password file, further levels, invisible characters."""
    with pytest.raises(Malformed, match="broker user name"):
        check_username(name)


def test_hash_password_fits_only_its_password() -> None:
    """The password verifies against its hash, another does not."""
    password_hash = hash_password("geheim")

    assert verify_password("geheim", password_hash)
    assert not verify_password("Geheim", password_hash)


def test_hash_password_is_salted() -> None:
    """The same password never gives the same hash."""
    assert hash_password("geheim") != hash_password("geheim")


def test_verify_password_reads_what_mosquitto_passwd_writes() -> None:
    """Hashes of Mosquitto's own tool are understood."""
    assert verify_password("geheim", FOREIGN_HASH)
    assert not verify_password("", FOREIGN_HASH)


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "geheim",
        "$6$101$YWJj$YWJj",
        "$7$x$YWJj$YWJj",
        "$7$0$YWJj$YWJj",
        "$7$101$YWJj$?",
        "$7$1$$",
    ],
)
def test_verify_password_refuses_other_formats(broken: str) -> None:
    """A hash that cannot be read fits no password."""
    assert not verify_password("geheim", broken)


def test_render_password_file_is_ordered() -> None:
    """One line for each account, in order of the names, so that equal accounts give equal files."""
    accounts = [Account("b/2", "$7$h2"), Account("a/1", "$7$h1")]

    assert render_password_file(accounts) == "a/1:$7$h1\nb/2:$7$h2\n"
    assert render_password_file(reversed(accounts)) == render_password_file(accounts)


def test_render_password_file_refuses_a_bad_name() -> None:
    """Nothing is rendered when one name would break the file."""
    with pytest.raises(Malformed):
        render_password_file([Account("a/1", "$7$h"), Account("x:y/z", "$7$h")])


def test_admitted_leaves_out_only_the_bad_account() -> None:
    """One bad name does not keep the others out."""
    assert admitted([("a/1", "h"), ("a:b/1", "h"), ("b/2", "h")]) == [
        Account("a/1", "h"),
        Account("b/2", "h"),
    ]

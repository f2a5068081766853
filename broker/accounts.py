"""Accounts of the broker and Mosquitto's password file. Pure, but for the salt of a new hash."""

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Iterable
from typing import NamedTuple

from wire.errors import Malformed

INGEST_USERNAME = "tidegate-ingest"

# Mosquitto 2.0's own figures. Few iterations are enough here: our passwords are random, and the
# broker computes one hash for each connection (and for each client when accounts are reloaded).
_ITERATIONS = 101
_SALT_BYTES = 12
_HASH_BYTES = 64
_MOST_ITERATIONS = 1_000_000
_MAX_NAME_BYTES = 1024
_MAX_LEVELS = 2
_WILDCARDS = frozenset("+#")


class Account(NamedTuple):
    """Who may connect: the user name is also the client id; the hash is `hash_password`'s."""

    username: str
    password_hash: str


def new_account(username: str, password: str) -> Account:
    """Return the account of a user; raise `Malformed` for a name that could not log in."""
    check_username(username)
    return Account(username, hash_password(password))


def check_username(username: str) -> None:
    """Raise `Malformed` for a name that could not log in or could reach beyond its own topics.

    `:` ends a name in the password file; a `#` in front makes the line a comment; `+` and `#`
    are wildcards of topics; with a second slash `acme/pump/cmd` would write as `acme/pump`.
    """
    reason = _fault(username)
    if reason:
        raise Malformed(f"broker user name {reason}")


def _fault(username: str) -> str | None:
    levels = username.split("/")
    checks = {
        "is empty": not username,
        f"is longer than {_MAX_NAME_BYTES} bytes": len(username.encode("utf-8", "surrogatepass"))
        > _MAX_NAME_BYTES,
        "contains a control character": not username.isprintable(),
        "contains a colon": ":" in username,
        "contains + or #": not _WILDCARDS.isdisjoint(username),
        "is neither one name nor tenant/device": not all(levels) or len(levels) > _MAX_LEVELS,
        "begins or ends with a space": any(level != level.strip() for level in levels),
    }
    return next((reason for reason, holds in checks.items() if holds), None)


def hash_password(password: str) -> str:
    """Hash a password with a new salt, in the format `$7$iterations$salt$hash` of Mosquitto."""
    salt = os.urandom(_SALT_BYTES)
    return "$".join(
        ("", "7", str(_ITERATIONS), _base64(salt), _base64(_pbkdf2(password, salt, _ITERATIONS)))
    )


def verify_password(password: str, password_hash: str) -> bool:
    """Tell whether the password belongs to the hash; a hash of another format fits none."""
    try:
        start, kind, iterations_text, salt_text, expected_text = password_hash.split("$")
        iterations = int(iterations_text)
        salt = base64.b64decode(salt_text, validate=True)
        expected = base64.b64decode(expected_text, validate=True)
    except (ValueError, binascii.Error):
        return False
    if start or kind != "7" or not 1 <= iterations <= _MOST_ITERATIONS:
        return False
    return hmac.compare_digest(_pbkdf2(password, salt, iterations), expected)


def render_password_file(accounts: Iterable[Account]) -> str:
    """Render the accounts as Mosquitto's password file, ordered by name.

    Raises:
        Malformed: a name that `check_username` refuses; nothing is rendered.
    """
    lines = []
    for account in sorted(accounts):
        check_username(account.username)
        lines.append(f"{account.username}:{account.password_hash}\n")
    return "".join(lines)


def _pbkdf2(password: str, salt: bytes, iterations: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations, _HASH_BYTES)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")

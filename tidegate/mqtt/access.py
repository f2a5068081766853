"""Where a broker is, and who we are there."""

from urllib.parse import unquote, urlsplit

import msgspec

from tidegate.configuration import Secret
from tidegate.errors import Misconfigured

_DEFAULT_PORT = 1883


class Access(msgspec.Struct, frozen=True):
    """A broker and an account at it."""

    host: str
    port: int = _DEFAULT_PORT
    username: str | None = None
    password: Secret | None = None

    @property
    def revealed(self) -> str | None:
        """The password as a text."""
        return self.password.reveal() if self.password else None


def parse_url(url: str) -> Access:
    """Parse `mqtt://user:password@host:port`.

    Raises:
        Misconfigured: it is not such a URL; the message does not repeat it, it holds a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORT
    except ValueError as exc:
        raise Misconfigured("--mqtt: host or port cannot be read") from exc
    if parts.scheme != "mqtt" or not parts.hostname:
        raise Misconfigured("--mqtt: write mqtt://user:password@host:port")
    password = Secret(unquote(parts.password)) if parts.password else None
    username = unquote(parts.username) if parts.username else None
    return Access(parts.hostname, port, username, password)

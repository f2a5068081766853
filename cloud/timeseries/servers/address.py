"""The URL of a server that keeps telemetry, taken apart. Pure."""

from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

from tidegate.configuration import Secret
from tidegate.errors import Misconfigured

# Scheme → (through TLS, the port when none is given).
SCHEMES = {
    "influx": (False, 8086),
    "influxs": (True, 8086),
    "victoria": (False, 8428),
    "victorias": (True, 8428),
}
_OPTIONS = frozenset({"org"})
_FORMS = (
    "write influx://user:password@host:port/database, influx://:TOKEN@host:port/bucket?org=ORG "
    "(influxs:// for TLS) or victoria://host:port"
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is, and as whom we talk to it. `password` alone is a token.

    `database` is InfluxDB's database or bucket; for VictoriaMetrics it tells installations that
    share a server apart, and may be empty.
    """

    scheme: str
    host: str
    port: int
    database: str = ""
    user: str | None = None
    password: Secret | None = None
    org: str = ""

    @property
    def http_url(self) -> str:
        """Return the address of its HTTP API; without the account."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if SCHEMES[self.scheme][0] else ''}://{host}:{self.port}"

    @property
    def name(self) -> str:
        """Return what messages call it; without the account."""
        return f"{self.host}:{self.port}"


def parse_address(url: Secret) -> Address:
    """Take a URL apart; user, password, database and organisation may be percent-encoded.

    Raises:
        Misconfigured: it is no such URL; the message does not repeat it, it may hold a password.
    """
    try:
        parts = urlsplit(url.reveal())
        port = parts.port
        options = parse_qs(parts.query, strict_parsing=bool(parts.query))
    except ValueError as exc:
        raise Misconfigured(f"timeseries.url cannot be read: {_FORMS}") from exc
    if parts.scheme not in SCHEMES or not parts.hostname or parts.fragment:
        raise Misconfigured(f"timeseries.url is not complete: {_FORMS}")
    if not options.keys() <= _OPTIONS:
        raise Misconfigured(f"timeseries.url has an option that is not org: {_FORMS}")
    database = unquote(parts.path.strip("/"))
    if not database and parts.scheme.startswith("influx"):
        raise Misconfigured(f"timeseries.url names no database: {_FORMS}")
    user = unquote(parts.username) if parts.username else None
    password = Secret(unquote(parts.password)) if parts.password else None
    _check_account(user, password)
    return Address(
        parts.scheme,
        parts.hostname,
        SCHEMES[parts.scheme][1] if port is None else port,
        database,
        user,
        password,
        options.get("org", [""])[0],
    )


def _check_account(user: str | None, password: Secret | None) -> None:
    """See that a header can hold it: who refuses it later repeats it in his error."""
    words = [word for word in (user, password.reveal() if password else None) if word]
    if not all(word.isprintable() for word in words):
        raise Misconfigured("timeseries.url: the account holds a line end or another control")
    if user is None and not all(word.isascii() for word in words):
        raise Misconfigured("timeseries.url: the token holds a character that is not ASCII")

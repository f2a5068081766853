"""The token that a request bears. Pure."""

from collections.abc import Mapping


def bearer_of(headers: Mapping[str, str]) -> str:
    """Return the token of `Bearer x`, or of `Token x` as InfluxDB's clients write it, else ''."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() in ("bearer", "token") else ""

"""Why credentials are refused: counted by reason, told to nobody outside."""

from typing import Literal

from prometheus_client import Counter

from tidegate.errors import HTTPError

Reason = Literal[
    "account",  # unknown by now, or disabled
    "address_limit",  # too many logins from one address
    "hashing_busy",  # the queue of the password pool is full
    "jwt_claims",  # for another audience, from another issuer, from the future, incomplete
    "jwt_expired",
    "jwt_key",  # signed with a key that is not ours, or no more
    "jwt_signature",  # tampered, or of another algorithm
    "key_expired",
    "key_revoked",
    "key_wrong",
    "login_limit",  # too many logins for one name from one address
    "origin",  # a cookie used by a page that is not ours
    "password",
    "refresh_reused",  # a voided refresh token: its family is revoked
    "refresh_unknown",
    "session",  # over, ended or unknown
    "token",  # neither the administrator's nor a device's
]

_refused = Counter("tidegate_auth_refused_total", "Credentials that were refused", ["reason"])


class Refused(HTTPError):
    """Credentials do not hold; the caller learns no more than that."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(401, "the credentials are not valid")
        self.reason: Reason = reason


def count_refusal(reason: Reason) -> None:
    """Count one refusal."""
    _refused.labels(reason).inc()

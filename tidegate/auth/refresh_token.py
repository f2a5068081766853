"""The form of a refresh token, and how one follows from another. Pure.

`tgr_FAMILY_SECRET_MARK`: the family says where to look; of the secret only a hash is kept; the
mark proves that the token was once given out by the family, so that a voided one is told from
one that somebody made up.
"""

import hashlib
import hmac
import re
from typing import NamedTuple

SECRET_BYTES = 32
_FORM = re.compile(r"tgr_([0-9a-f]{32})_([0-9a-f]{64})_([0-9a-f]{64})")


class RefreshToken(NamedTuple):
    """The parts of a refresh token, each as hex."""

    family: str
    secret: str
    mark: str

    def __str__(self) -> str:
        """Return the token as the client keeps it."""
        return f"tgr_{self.family}_{self.secret}_{self.mark}"


def parsed(text: str) -> RefreshToken | None:
    """Return the parts of a token, None when it has another form."""
    match = _FORM.fullmatch(text)
    return None if match is None else RefreshToken(*match.groups())


def marked(family: str, secret: str, mark_key: str) -> RefreshToken:
    """Return the token of a secret."""
    return RefreshToken(family, secret, _mac(mark_key, secret))


def is_marked(token: RefreshToken, mark_key: str) -> bool:
    """Tell whether the family once gave this token out."""
    return hmac.compare_digest(token.mark, _mac(mark_key, token.secret))


def hash_of(secret: str) -> str:
    """Return what is kept of a secret; it has 256 random bits, so a fast hash is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def following(secret: str, salt: str) -> str:
    """Return the secret that follows: only who holds the one before *and* the salt can."""
    return _mac(salt, secret)


def _mac(key: str, text: str) -> str:
    return hmac.new(bytes.fromhex(key), text.encode(), hashlib.sha256).hexdigest()

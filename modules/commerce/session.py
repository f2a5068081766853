"""The shopper's session: only an id that we issued counts, and the browser guards it. Pure.

An id is issued with the cart that it names, so the cart itself says whether it is one of ours.
"""

import hashlib
import re

COOKIE = "sessionId"
ID_BYTES = 32
_ISSUED = re.compile(r"[A-Za-z0-9_-]{43}")


def looks_issued(session_id: object) -> bool:
    """Tell whether a text has the form of our ids; whether it is one, its cart says."""
    return isinstance(session_id, str) and _ISSUED.fullmatch(session_id) is not None


def set_cookie(session_id: str, *, max_age_s: int) -> str:
    """Return the `Set-Cookie` header.

    `Secure` keeps the id off plain connections; browsers make an exception for localhost.
    """
    return f"{COOKIE}={session_id}; Path=/; Max-Age={max_age_s}; HttpOnly; Secure; SameSite=Lax"


def pseudonym(session_id: str) -> str:
    """Return a name for the session that opens no cart: for logs and statistics."""
    return hashlib.sha256(session_id.encode()).hexdigest()[:16]

"""Password hashes (argon2id) in a bounded pool: hashing is slow on purpose."""

import anyio
from anyio import to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_hasher = PasswordHasher()
_AT_ONCE = 2


class Passwords:
    """Hashes and verifies, at most two at once; further callers wait."""

    def __init__(self) -> None:
        self._limiter = anyio.CapacityLimiter(_AT_ONCE)
        # Verified for unknown users, so that their names cannot be told from the time it takes.
        self._nobody = _hasher.hash("nobody")

    async def hash(self, password: str) -> str:
        """Return the hash of a password."""
        return await to_thread.run_sync(_hasher.hash, password, limiter=self._limiter)

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Tell whether the password is right; None (no such user) is False after the same time."""
        return await to_thread.run_sync(
            _verify, password, hashed or self._nobody, limiter=self._limiter
        ) and (hashed is not None)


def _verify(password: str, hashed: str) -> bool:
    try:
        return _hasher.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False

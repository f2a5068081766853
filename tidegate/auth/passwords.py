"""Passwords: which are taken, and their hashes (argon2id) in a bounded pool: slow on purpose."""

import unicodedata
from collections.abc import Callable
from typing import TypeVar

import anyio
from anyio import to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from tidegate.auth.refusals import count_refusal
from tidegate.errors import HTTPError

MIN_CHARS = 10
MAX_BYTES = 1024
AT_ONCE = 2
MAX_WAITING = 32

T = TypeVar("T")


def check_password(password: str, *, username: str = "") -> None:
    """Check a password that somebody wants to have, before anything slow is done with it.

    Raises:
        HTTPError: 422; the text says why, and never repeats the password.
    """
    if len(password) < MIN_CHARS:
        raise HTTPError(422, f"password: at least {MIN_CHARS} characters")
    if _bytes_of(password) is None:
        raise HTTPError(422, f"password: at most {MAX_BYTES} bytes of valid text")
    if len(set(password)) == 1 or password.casefold() == username.casefold():
        raise HTTPError(422, "password: too easy to guess")


class Passwords:
    """Hashes and verifies, two at once; 32 callers wait, who comes then is told to come again."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._limiter = anyio.CapacityLimiter(AT_ONCE)
        self._under_way = 0
        # Verified for unknown users, so that their names cannot be told from the time it takes.
        self._nobody = self._hasher.hash("nobody")

    async def hash(self, password: str) -> str:
        """Return the hash of a password that `check_password` takes.

        Raises:
            HTTPError: 422 a password that is not taken, 503 too many wait.
        """
        check_password(password)
        return await self._run(lambda: self._hasher.hash(_bytes_of(password) or b""))

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Tell whether the password is right; None (no such user) is False after the same time.

        Raises:
            HTTPError: 503 too many wait.
        """
        content = _bytes_of(password)
        if content is None:
            return False
        right = await self._run(lambda: self._verify(content, hashed or self._nobody))
        return right and hashed is not None

    def is_outdated(self, hashed: str) -> bool:
        """Tell whether a hash was made with other parameters than are used now."""
        return self._hasher.check_needs_rehash(hashed)

    def _verify(self, content: bytes, hashed: str) -> bool:
        try:
            return self._hasher.verify(hashed, content)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._under_way >= AT_ONCE + MAX_WAITING:
            count_refusal("hashing_busy")
            raise HTTPError(503, "too many logins at once; try again in a moment")
        self._under_way += 1
        try:
            return await to_thread.run_sync(work, limiter=self._limiter)
        finally:
            self._under_way -= 1


def _bytes_of(password: str) -> bytes | None:
    """Return what is hashed, None for what is too long or no text.

    NFC: keyboards differ in how they send an accented letter.
    """
    try:
        content = unicodedata.normalize("NFC", password).encode()
    except UnicodeEncodeError:
        return None
    return content if len(content) <= MAX_BYTES else None

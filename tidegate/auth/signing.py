"""The secrets that sign access tokens (HS256), by key id, so that they can be replaced.

They are kept in a file of the data folder. A replaced one still verifies, until every token that
it signed is over.
"""

import re
import secrets
import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import structlog
from joserfc import jwt
from joserfc.errors import BadSignatureError, JoseError
from joserfc.jwk import OctKey

from tidegate.auth.claims import LIFETIME_S
from tidegate.auth.refusals import Refused
from tidegate.errors import Misconfigured
from tidegate.files import write_whole
from tidegate.instance import InstanceFolder

FILE = "signing.keys"
_ALGORITHM = "HS256"
_TYPE = "at+jwt"
_SECRET_BYTES = 32
_SPARE_S = 60
_MAX_CHARS = 8 * 1024
_FORM = re.compile(r"[\w-]+\.[\w-]+\.[\w-]*", re.ASCII)

log = structlog.get_logger()


class SigningKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One secret, as hex; `until_s` (Unix seconds) is when a replaced one ends."""

    kid: str
    secret: str
    until_s: int | None = None


class SigningKeys:
    """Signs with the newest key and verifies with every one that is not over.

    Processes that share a data folder share the keys: what one of them replaces the others
    notice before they sign or verify again.
    """

    def __init__(self, keys: Sequence[SigningKey] = (), *, file: Path | None = None) -> None:
        """Take the keys, newest first; without any make one. Without a file they end with us."""
        self._file = file
        self._seen: tuple[int, int] | None = None
        self._rotating = threading.Lock()
        self._keys = list(keys)
        if not self._keys:
            self._look_again()
        if not self._keys:
            self._keep([_new_key()])

    @classmethod
    def kept_in(cls, folder: InstanceFolder) -> "SigningKeys":
        """Return the keys of an instance, made at the first call; only the owner reads them.

        Raises:
            Misconfigured: the file is damaged.
        """
        return cls(file=folder.path / FILE)

    @property
    def current(self) -> str:
        """The id of the key that signs."""
        self._look_again()
        return self._keys[0].kid

    def rotate(self, now_s: int) -> str:
        """Sign with a new key from now on; returns its id. Blocks: it writes a file."""
        with self._rotating:
            self._look_again()
            first, *others = self._keys
            replaced = msgspec.structs.replace(first, until_s=now_s + LIFETIME_S + _SPARE_S)
            living = [key for key in others if key.until_s is not None and key.until_s > now_s]
            self._keep([_new_key(), replaced, *living])
            return self.current

    def sign(self, claims: dict[str, Any]) -> str:
        """Return claims as a signed token."""
        self._look_again()
        key = self._keys[0]
        header = {"alg": _ALGORITHM, "kid": key.kid}
        return jwt.encode(header, claims, _octets(key), [_ALGORITHM], default_type=_TYPE)

    def verify(self, token: str, now_s: int) -> dict[str, Any]:
        """Return the claims of a token that one of the keys signed; they are not checked here.

        The algorithm is ours, whatever the token says.

        Raises:
            Refused: nobody signed it, or somebody else.
        """

        def key_of(unverified: Any) -> OctKey:
            kid = unverified.headers().get("kid")
            for key in self._keys:
                if key.kid == kid and (key.until_s is None or now_s < key.until_s):
                    return _octets(key)
            raise Refused("jwt_key")

        self._look_again()
        if len(token) > _MAX_CHARS:
            raise Refused("jwt_signature")
        try:
            verified = jwt.decode(token, key_of, [_ALGORITHM])
        except BadSignatureError as exc:
            raise Refused("jwt_signature") from exc
        # A header may be any bytes: it is decoded before anything is known of who wrote it.
        except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
            raise Refused("jwt_signature") from exc
        if verified.header.get("typ") != _TYPE:
            raise Refused("jwt_claims")
        return dict(verified.claims)

    def _keep(self, keys: list[SigningKey]) -> None:
        if self._file is not None:
            write_whole(self._file, msgspec.json.encode(keys))
            # Another process may have written at the same time: the file decides.
            self._look_again()
        else:
            self._keys = keys

    def _look_again(self) -> None:
        """Read the file when it is another one than was read; costs one `stat` else.

        Raises:
            Misconfigured: it is damaged, at the start; later the keys in memory go on.
        """
        if self._file is None:
            return
        try:
            found = self._file.stat()
            seen = (found.st_ino, found.st_mtime_ns)
            if seen == self._seen:
                return
            keys = msgspec.json.decode(self._file.read_bytes(), type=list[SigningKey])
        except FileNotFoundError:
            return
        except msgspec.DecodeError as exc:
            if self._keys:
                log.warning("signing_keys.damaged", file=str(self._file))
                self._seen = seen
                return
            raise Misconfigured(
                f"{self._file} is damaged; delete it and start again: a new one is made"
            ) from exc
        self._keys, self._seen = keys or self._keys, seen


def looks_like_jwt(token: str) -> bool:
    """Tell whether a bearer has the form of a signed token."""
    return _FORM.fullmatch(token) is not None


def _new_key() -> SigningKey:
    return SigningKey(secrets.token_hex(8), secrets.token_hex(_SECRET_BYTES))


@lru_cache(maxsize=16)
def _octets(key: SigningKey) -> OctKey:
    return OctKey.import_key(bytes.fromhex(key.secret))

"""The secrets that sign access tokens (HS256), by key id, so that they can be replaced.

They are kept in a file of the data folder. A replaced one still verifies, until every token that
it signed is over.
"""

import re
import secrets
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import msgspec
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


class SigningKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One secret, as hex; `until_s` (Unix seconds) is when a replaced one ends."""

    kid: str
    secret: str
    until_s: int | None = None


class SigningKeys:
    """Signs with the newest key and verifies with every one that is not over."""

    def __init__(
        self,
        keys: Sequence[SigningKey] = (),
        *,
        save: Callable[[Sequence[SigningKey]], None] = lambda _keys: None,
    ) -> None:
        """Take the keys, newest first; without any make one, which ends with the process."""
        self._save = save
        self._rotating = threading.Lock()
        self._keys = list(keys)
        if not self._keys:
            self._keep([_new_key()])

    @classmethod
    def kept_in(cls, folder: InstanceFolder) -> "SigningKeys":
        """Return the keys of an instance, made at the first call; only the owner reads them.

        Raises:
            Misconfigured: the file is damaged.
        """
        file = folder.path / FILE

        def save(keys: Sequence[SigningKey]) -> None:
            write_whole(file, msgspec.json.encode(keys))

        if not file.exists():
            return cls(save=save)
        try:
            keys = msgspec.json.decode(file.read_bytes(), type=list[SigningKey])
        except msgspec.DecodeError as exc:
            raise Misconfigured(
                f"{file} is damaged; delete it, and a new one is made: clients refresh their tokens"
            ) from exc
        return cls(keys, save=save)

    @property
    def current(self) -> str:
        """The id of the key that signs."""
        return self._keys[0].kid

    def rotate(self, now_s: int) -> str:
        """Sign with a new key from now on; returns its id. Blocks: it writes a file."""
        with self._rotating:
            first, *others = self._keys
            replaced = msgspec.structs.replace(first, until_s=now_s + LIFETIME_S + _SPARE_S)
            living = [key for key in others if key.until_s is not None and key.until_s > now_s]
            self._keep([_new_key(), replaced, *living])
            return self.current

    def sign(self, claims: dict[str, Any]) -> str:
        """Return claims as a signed token."""
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
        self._save(keys)
        self._keys = keys


def looks_like_jwt(token: str) -> bool:
    """Tell whether a bearer has the form of a signed token."""
    return _FORM.fullmatch(token) is not None


def _new_key() -> SigningKey:
    return SigningKey(secrets.token_hex(8), secrets.token_hex(_SECRET_BYTES))


@lru_cache(maxsize=16)
def _octets(key: SigningKey) -> OctKey:
    return OctKey.import_key(bytes.fromhex(key.secret))

"""Access tokens that nobody gave, and the keys that tell them apart."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from tests.support.access import instance
from tests.support.tokens import KID, SECRET, keys, refresh, refused
from tidegate.auth.signing import FILE, SigningKeys
from tidegate.errors import Misconfigured
from tidegate.instance import InstanceFolder

pytestmark = pytest.mark.anyio


def _forged(claims: dict[str, Any], header: dict[str, Any], secret: str = SECRET) -> str:
    return jwt.encode(header, claims, OctKey.import_key(bytes.fromhex(secret)), ["HS256", "HS512"])


def _unsigned(claims: dict[str, Any], header: dict[str, Any]) -> str:
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
        for part in (header, claims)
    ]
    return ".".join([*parts, ""])


_HEADER = {"alg": "HS256", "kid": KID, "typ": "at+jwt"}


FORGERIES: dict[str, Any] = {
    "none": lambda c: _unsigned(c, {**_HEADER, "alg": "none"}),
    "None": lambda c: _unsigned(c, {**_HEADER, "alg": "None"}),
    "unsigned": lambda c: _unsigned(c, _HEADER),
    "other algorithm": lambda c: _forged(c, {**_HEADER, "alg": "HS512"}),
    "other secret": lambda c: _forged(c, _HEADER, "22" * 32),
    "other kid": lambda c: _forged(c, {**_HEADER, "kid": "k2"}),
    "no kid": lambda c: _forged(c, {"alg": "HS256", "typ": "at+jwt"}),
    "kid is a path": lambda c: _forged(c, {**_HEADER, "kid": "../../dev/null"}),
    "own key inside": lambda c: _unsigned(c, {**_HEADER, "jwk": {"kty": "oct", "k": "AA"}}),
    "critical": lambda c: _unsigned(c, {**_HEADER, "crit": ["exp"]}),
    "other type": lambda c: _forged(c, {**_HEADER, "typ": "JWT"}),
    "other audience": lambda c: _forged({**c, "aud": "elsewhere"}, _HEADER),
    "several audiences": lambda c: _forged({**c, "aud": ["tidegate-api"]}, _HEADER),
    "other issuer": lambda c: _forged({**c, "iss": "elsewhere"}, _HEADER),
    "expired": lambda c: _forged({**c, "exp": c["iat"]}, _HEADER),
    "never ends": lambda c: _forged({n: v for n, v in c.items() if n != "exp"}, _HEADER),
    "text as time": lambda c: _forged({**c, "exp": "9999999999"}, _HEADER),
    "from the future": lambda c: _forged({**c, "iat": c["iat"] + 3600}, _HEADER),
    "other family": lambda c: _forged({**c, "sid": "0" * 32}, _HEADER),
    "other user": lambda c: _forged({**c, "sub": "root"}, _HEADER),
    "a list": lambda _: f"{_unsigned({}, _HEADER).split('.')[0]}.W10.",
    "deep header": lambda _: base64.urlsafe_b64encode(b"[" * 3000).decode() + ".e30.e30",
    "no text": lambda _: "_w._w._w",
    "huge": lambda c: _forged({**c, "x": "y" * 20_000}, _HEADER),
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_auth_forged_access_token_is_refused(tmp_path: Path, forgery: str) -> None:
    """Whatever a token says of its own algorithm, key, audience or time is not believed."""
    async with instance(tmp_path, signing=keys()) as here:
        await here.add_user("ada")
        await here.add_user("root", roles=("admin",))
        access = (await here.log_in("ada"))["access_token"]
        claims = jwt.decode(access, OctKey.import_key(bytes.fromhex(SECRET))).claims
        same = await here.status(_forged(claims, _HEADER))

        forged = await here.status(FORGERIES[forgery](claims))

    assert (same, forged) == (200, 401)


async def test_auth_tampered_access_token_is_refused(tmp_path: Path) -> None:
    """Other roles under the old signature open nothing, and the count says why."""
    async with instance(tmp_path) as here:
        await here.add_user("ada")
        head, _, signature = (await here.log_in("ada"))["access_token"].split(".")
        claims = {"sub": "ada", "roles": ["admin"]}
        body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
        before = refused("jwt_signature")

        assert await here.status(f"{head}.{body}.{signature}") == 401
        assert refused("jwt_signature") == before + 1


async def test_auth_rotated_signing_key_verifies_until_its_tokens_are_over(tmp_path: Path) -> None:
    """Old tokens go on, new ones name the new key, and both survive a restart."""
    folder = InstanceFolder(tmp_path)
    async with instance(tmp_path, signing=SigningKeys.kept_in(folder)) as here:
        await here.add_user("ada")
        old = await here.log_in("ada")
        rotated = await here.status("administrator", "/api/v1/auth/signing-key", "POST")
        _, new = await refresh(here, old["refresh_token"])
        before = [await here.status(token["access_token"]) for token in (old, new)]
    async with instance(tmp_path, signing=SigningKeys.kept_in(folder)) as here:
        restarted = [await here.status(token["access_token"]) for token in (old, new)]

    heads = {token["access_token"].split(".")[0] for token in (old, new)}
    assert (rotated, before, restarted) == (200, [200, 200], [200, 200])
    assert len(heads) == 2
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


async def test_auth_processes_on_one_folder_share_signing_keys(tmp_path: Path) -> None:
    """What one process replaces the other signs with at once; a damaged file stops the start."""
    folder = InstanceFolder(tmp_path)
    one, other = SigningKeys.kept_in(folder), SigningKeys.kept_in(folder)
    old = other.sign({"sub": "ada"})
    new = one.rotate(1000)

    assert (one.current, other.current) == (new, new)
    assert one.verify(other.sign({"sub": "bob"}), 1000) == {"sub": "bob"}
    assert other.verify(old, 1000) == {"sub": "ada"}

    (tmp_path / FILE).write_bytes(b"{")
    assert other.verify(old, 1000) == {"sub": "ada"}
    with pytest.raises(Misconfigured, match="is damaged"):
        SigningKeys.kept_in(folder)

"""Callers, scopes and roles; the forms of keys and refresh tokens; claims; names."""

import hashlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.auth import key_format, refresh_token, role, scope
from tidegate.auth.accounts import Account, caller_of, check_account, check_scopes, shown
from tidegate.auth.attempts import network_of
from tidegate.auth.caller import common_scopes, covers, make_caller, may
from tidegate.auth.claims import LIFETIME_S, check_claims, claims_for
from tidegate.auth.key_format import PREFIX_ALPHABET, SECRET_ALPHABET, KeyText
from tidegate.auth.passwords import check_password
from tidegate.auth.refusals import Refused
from tidegate.auth.signing import SigningKey, SigningKeys, looks_like_jwt
from tidegate.errors import HTTPError, Misconfigured

HEX = st.binary(min_size=32, max_size=32).map(bytes.hex)
SCOPES = st.lists(
    st.sampled_from(["*", "a:*", "a:b", "a:b:*", "a:b:c", "ab:c", "b", "b:*"]), max_size=4
)
WANTED = st.sampled_from(["a:b", "a:b:c", "a:c", "ab:c", "b", "b:a"])


def test_auth_caller_reads_as_dict_and_as_attributes() -> None:
    """Both spellings of a name work; what is not there is an AttributeError, and it is JSON."""
    user = make_caller("ada", ["editor"], kind="jwt", tenant="acme")

    assert (user.userId, user.user_id, user["userId"], user.tenant) == ("ada",) * 3 + ("acme",)
    assert not hasattr(user, "nothing")
    assert msgspec.json.decode(msgspec.json.encode(user))["roles"] == ["editor"]


@given(SCOPES, SCOPES, WANTED)
def test_auth_common_scopes_allow_what_both_allow(
    some: list[str], others: list[str], wanted: str
) -> None:
    """A key never does more than its owner may, nor than it says, nor less than both."""
    both = any(covers(s, wanted) for s in some) and any(covers(o, wanted) for o in others)
    caller = make_caller("ada", [], kind="key", scopes=common_scopes(some, others))

    assert may(caller, wanted) is both


@pytest.mark.parametrize(
    ("held", "wanted", "covered"),
    [
        ("*", "a:b", True),
        ("a:b", "a:b", True),
        ("a:b", "a:b:c", False),
        ("a:b", "a:bc", False),
        ("a:*", "a:b", True),
        ("a:*", "a:b:c", True),
        ("a:*", "ab:c", False),
        ("a:*", "a", False),
        ("a:*", "*", False),
        ("a", "a:b", False),
    ],
)
def test_auth_scope_covers(held: str, wanted: str, covered: bool) -> None:  # noqa: FBT001
    """By whole parts, never by the beginning of a word."""
    assert covers(held, wanted) is covered


@pytest.mark.parametrize("name", ["", "*", "a:*", "a*"])
def test_auth_scope_names_one_scope(name: str) -> None:
    """A step that asks for a pattern is a fault at its load."""
    with pytest.raises(Misconfigured):
        scope(name)


def test_auth_role_names_at_least_one() -> None:
    """A step that asks for no role at all is a fault at its load."""
    with pytest.raises(Misconfigured):
        role()


@given(
    st.text(PREFIX_ALPHABET, min_size=12, max_size=12),
    st.text(SECRET_ALPHABET, min_size=43, max_size=43),
)
def test_auth_key_text_round_trips(prefix: str, secret: str) -> None:
    """What is made is read back."""
    key = KeyText(prefix, secret)

    assert key_format.parsed(str(key)) == key


@given(st.text())
def test_auth_key_text_of_another_form_is_none(text: str) -> None:
    """Nothing else is a key, a refresh token, or makes reading one fail."""
    assert key_format.parsed(text) is None
    assert refresh_token.parsed(text) is None


@pytest.mark.parametrize("form", ["tg_{p}_{s}\n", " tg_{p}_{s}", "TG_{p}_{s}", "tg_{p}_{s}a"])
def test_auth_key_text_is_taken_as_it_is(form: str) -> None:
    """No space, no line end, no other case."""
    assert key_format.parsed(form.format(p="a" * 12, s="A" * 43)) is None


@given(HEX, HEX, HEX)
def test_auth_refresh_token_is_recognised_by_its_family_alone(
    secret: str, mark_key: str, other: str
) -> None:
    """It round-trips; the family knows it again, another does not."""
    token = refresh_token.marked("f" * 32, secret, mark_key)
    read = refresh_token.parsed(str(token))

    assert read == token
    assert refresh_token.is_marked(token, mark_key)
    assert refresh_token.is_marked(token, other) is (other == mark_key)


@given(HEX, HEX)
def test_auth_following_secret_needs_secret_and_salt(secret: str, salt: str) -> None:
    """The same of both gives the same; what is kept at rest gives neither."""
    following = refresh_token.following(secret, salt)

    assert following == refresh_token.following(secret, salt)
    kept = {refresh_token.hash_of(secret), hashlib.sha256(salt.encode()).hexdigest(), salt}
    assert following not in kept


@given(st.integers(0, 2**40), st.integers(-(2**20), 2**20))
def test_auth_claims_hold_for_fifteen_minutes(made_s: int, passed_s: int) -> None:
    """From a minute before, for clocks that differ, to the last second."""
    claims = claims_for(Account(username="ada"), sid="s", jti="j", now_s=made_s)

    holds = -60 <= passed_s < LIFETIME_S

    if holds:
        assert check_claims(claims, made_s + passed_s).sub == "ada"
    else:
        with pytest.raises(Refused):
            check_claims(claims, made_s + passed_s)


@pytest.mark.parametrize(
    "change",
    [{"aud": "x"}, {"iss": "x"}, {"exp": 1.5}, {"exp": True}, {"sub": 1}, {"roles": "admin"}],
    ids=str,
)
def test_auth_claims_of_another_kind_are_refused(change: dict[str, Any]) -> None:
    """What is not exactly ours is nothing."""
    claims = claims_for(Account(username="ada"), sid="s", jti="j", now_s=100)

    with pytest.raises(Refused) as refused:
        check_claims({**claims, **change}, 100)

    assert refused.value.reason == "jwt_claims"


def test_auth_replaced_signing_key_verifies_until_its_tokens_are_over() -> None:
    """Then it is refused, and the next rotation forgets it."""
    keys = SigningKeys()
    old = keys.sign({"sub": "ada"})
    keys.rotate(1000)

    assert keys.verify(old, 1000 + LIFETIME_S) == {"sub": "ada"}
    with pytest.raises(Refused) as refused:
        keys.verify(old, 1000 + LIFETIME_S + 60)
    assert refused.value.reason == "jwt_key"
    keys.rotate(1000 + LIFETIME_S + 61)
    assert len(keys._keys) == 2


@given(st.text())
def test_auth_any_text_is_no_access_token(text: str) -> None:
    """Whatever a header holds is refused, never an error of ours."""
    with pytest.raises(Refused):
        SigningKeys([SigningKey("k", "11" * 32)]).verify(text, 0)


@given(st.from_regex(r"[\w-]{0,200}\.[\w-]{0,200}\.[\w-]{0,200}", fullmatch=True))
def test_auth_any_three_parts_are_no_access_token(text: str) -> None:
    """Nor is anything that only has the form of one."""
    looks_like_jwt(text)
    with pytest.raises(Refused):
        SigningKeys([SigningKey("k", "11" * 32)]).verify(text, 0)


@pytest.mark.parametrize(
    ("client", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:0:1:2:3:4:5", "2001:db8:0:1::/64"),
        ("2001:db8:0:1::9", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_auth_address_of_one_person(client: str, network: str) -> None:
    """An IPv6 network of a household counts as one address."""
    assert network_of(client) == network


@pytest.mark.parametrize("password", ["123456789", "x" * 1025, "é" * 513, "\ud800" * 10, "a" * 10])
def test_auth_password_is_checked_before_anything_slow(password: str) -> None:
    """Too short, too long in bytes, no text, too plain: refused without its text."""
    with pytest.raises(HTTPError) as refused:
        check_password(password)

    assert refused.value.status == 422
    assert password not in refused.value.detail


@pytest.mark.parametrize("password", ["correct horse", "pässwörter" * 10, "x1" * 512])
def test_auth_password_may_be_long_and_of_any_language(password: str) -> None:
    """Up to 1,024 bytes."""
    check_password(password, username="ada")


def test_auth_account_hides_its_hash() -> None:
    """Neither hash nor generation is shown; the default tenant is the only one."""
    account = Account(username="ada", hash="$argon2", tenants={"acme": ("owner",)})
    check_account(account)

    assert {"hash", "generation"} & set(shown(account)) == set()
    assert shown(account)["has_password"] is True
    assert caller_of(account, "session").tenant == "acme"


def test_auth_scopes_are_bounded() -> None:
    """Some, and not thousands."""
    with pytest.raises(HTTPError):
        check_scopes([f"a:{number}" for number in range(33)])

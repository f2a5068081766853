"""What problem documents tell besides their text."""

from tidegate.http.problem import problem, refusal


def test_401_says_how_to_authenticate() -> None:
    """RFC 9110 asks for a challenge in each 401, and in no other refusal."""
    assert (b"www-authenticate", b"Bearer") in refusal(401).headers
    assert problem(401, "who is it?").headers["www-authenticate"] == "Bearer"
    assert b"www-authenticate" not in dict(refusal(403).headers)


def test_401_with_a_challenge_of_its_own_keeps_it() -> None:
    """A caller that names another scheme is not overruled."""
    given = refusal(401, headers={"WWW-Authenticate": "Basic"}).headers

    assert [value for name, value in given if name == b"www-authenticate"] == [b"Basic"]

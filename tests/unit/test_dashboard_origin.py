"""What protects forms, redirects and the session's cookie."""

import pytest

from cloud.dashboard.origin import (
    expired_cookie,
    safe_next,
    session_cookie,
)
from tidegate.auth.origin import came_by_https, same_origin
from tidegate.auth.session import TTL_S


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        (
            {"sec-fetch-site": "cross-site", "origin": "http://a:8080", "host": "a:8080"},
            False,
        ),
        ({"origin": "http://a:8080", "host": "a:8080"}, True),
        ({"origin": "http://A:8080", "host": "a:8080"}, True),
        ({"origin": "http://a:8080", "host": "a"}, False),
        ({"origin": "https://evil.example", "host": "a:8080"}, False),
        ({"origin": "null", "host": "a:8080"}, False),
        ({"origin": "null", "host": ""}, False),
        ({"origin": "http://[", "host": "a:8080"}, False),
        ({"origin": "http://[", "host": ""}, False),
        ({"origin": "https://pages.example", "host": "10.0.0.5:8080"}, True),
        ({"host": "a:8080"}, True),
    ],
)
def test_same_origin_believes_only_our_own_pages(headers: dict[str, str], ours: bool) -> None:  # noqa: FBT001
    """A form counts as ours by Sec-Fetch-Site, else by Origin; no browser sends neither."""
    assert same_origin(headers, "https://pages.example/") is ours


@pytest.mark.parametrize(
    "path",
    ["/", "/devices/plant/pump?range=1h", "/devices/a%2Fb/c", "/devices/plant/größe 1"],
)
def test_safe_next_keeps_a_path_of_this_site(path: str) -> None:
    """A local path is where the person goes after the login."""
    assert safe_next(path) == path


@pytest.mark.parametrize(
    "path",
    [
        None,
        "",
        "//evil.example",
        "///evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "devices",
        "/a\r\nSet-Cookie: x=1",
        "/\t/evil.example",
        "/login?next=/login",
        "/logout",
    ],
)
def test_safe_next_refuses_everything_else(path: str | None) -> None:
    """Whatever could leave the site, break a header or loop ends on the overview."""
    assert safe_next(path) == "/"


def test_cookie_is_secure_only_over_https() -> None:
    """The cookie cannot be read by scripts or sent from elsewhere, over HTTPS only there."""
    plain = session_cookie("token", secure=False)

    assert plain.startswith("tidegate_session=token; ")
    assert {"Path=/", f"Max-Age={TTL_S}", "HttpOnly", "SameSite=Strict"} <= set(plain.split("; "))
    assert "Secure" not in plain
    assert session_cookie("token", secure=True).endswith("; Secure")
    assert "Max-Age=0" in expired_cookie(secure=False)


@pytest.mark.parametrize(
    ("headers", "public_url", "https"),
    [
        ({}, None, False),
        ({"x-forwarded-proto": "https"}, None, True),
        ({"x-forwarded-proto": "https, http"}, None, True),
        ({"x-forwarded-proto": "http"}, "https://pages.example", False),
        ({}, "https://pages.example", True),
        ({}, "http://pages.example", False),
    ],
)
def test_came_by_https_asks_the_proxy_then_the_settings(
    headers: dict[str, str],
    public_url: str | None,
    https: bool,  # noqa: FBT001
) -> None:
    """The proxy knows how the browser came; without its word the public address decides."""
    assert came_by_https(headers, public_url) is https

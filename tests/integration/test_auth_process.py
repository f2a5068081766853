"""Users and keys by command, beside a running instance; the guide, as printed."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.instances import started, tidegate, tidegate_json
from tests.support.ports import unused_port

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "authenticate.md"
_BLOCK = re.compile(r"^```\w+ (run|file=\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_TENANT = """
config = {"type": "cron", "name": "Found", "cron": "@every 100ms", "emits": []}
async def handler(ctx):
    if await ctx.state.get("tenants", "acme") is None:
        await ctx.state.set("tenants", "acme", {"plan": "pro"})
        await ctx.state.set("tenant:acme:data", "report", "all is well")
"""


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """Run the guide's step for all tests of this module; return the port and the folder."""
    folder, port = tmp_path_factory.mktemp("office"), unused_port()
    (folder / "steps").mkdir()
    (folder / "steps" / "found_step.py").write_text(_TENANT, "utf-8")
    for what, text in _BLOCK.findall(GUIDE.read_text("utf-8")):
        if what.startswith("file="):
            (folder / what.removeprefix("file=")).write_text(text, "utf-8")
    with started(folder, folder / "steps", port):
        yield port, folder


def _with_password(password: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command with a password on its standard input."""
    return subprocess.run(
        [sys.executable, "-c", "from tidegate.cli import main; main()", *map(str, arguments)],
        input=password,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def _login(port: int, username: str, password: str) -> int:
    body = {"username": username, "password": password}
    return httpx.post(
        f"http://127.0.0.1:{port}/api/v1/auth/login", json=body, timeout=10
    ).status_code


def test_auth_guide_runs_as_printed(office: tuple[int, Path]) -> None:
    """A reader who types the guide's commands gets the report, by key and by login."""
    port, folder = office
    commands = [text for what, text in _BLOCK.findall(GUIDE.read_text("utf-8")) if what == "run"]
    script = "set -euo pipefail\n" + "\necho\n".join(commands).replace(":8080", f":{port}")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env={**os.environ, "PATH": path},
        capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert '{"for":"nightly","plan":"pro","report":"all is well"}' in done.stdout
    assert '{"for":"ada","plan":"pro","report":"all is well"}' in done.stdout
    assert "refreshed: 200" in done.stdout
    assert re.search(r"^ada +enabled +acme:owner$", done.stdout, re.MULTILINE)
    assert re.search(r"  nightly@acme +report:read  nightly report$", done.stdout, re.MULTILINE)
    [line] = (folder / "nightly.key").read_text("utf-8").splitlines()
    assert line.startswith("tg_")


def test_auth_user_commands(office: tuple[int, Path]) -> None:
    """Add, password, roles, disable, enable, list: each is in force with the next request."""
    port, folder = office
    data = ("--data", folder / "data")
    added = _with_password("correct horse\n", "user", "add", "bob", "--role", "editor", *data)
    before = _login(port, "bob", "correct horse")
    changed = _with_password("another horse\n", "user", "password", "bob", *data)
    words = [_login(port, "bob", word) for word in ("correct horse", "another horse")]
    tidegate("user", "disable", "bob", *data)
    disabled = _login(port, "bob", "another horse")
    enabled = tidegate_json("user", "enable", "bob", *data)
    roles = tidegate_json("user", "roles", "bob", "--role", "boss", "--tenant", "acme:x,y", *data)

    assert (added.returncode, changed.returncode) == (0, 0), added.stderr + changed.stderr
    assert (before, words, disabled) == (200, [401, 200], 401)
    assert (enabled["disabled"], roles["roles"]) == (False, ["boss"])
    assert (roles["tenants"], roles["tenant"]) == ({"acme": ["x", "y"]}, "acme")
    assert "bob" in tidegate("user", "list", *data).stdout
    assert "horse" not in added.stdout + added.stderr + changed.stdout + changed.stderr


def test_auth_key_commands(office: tuple[int, Path]) -> None:
    """A key is made, listed, revoked; the signing secret is replaced."""
    port, folder = office
    data = ("--data", folder / "data")
    tidegate("user", "add", "ci", "--no-password", *data)
    made = tidegate_json("key", "add", "build", "--owner", "ci", "--scope", "*", *data)
    me = f"http://127.0.0.1:{port}/api/v1/auth/me"
    bearer = {"Authorization": f"Bearer {made['key']}"}
    before = httpx.get(me, headers=bearer, timeout=10).status_code
    revoked = tidegate("key", "revoke", made["prefix"], *data)
    after = httpx.get(me, headers=bearer, timeout=10).status_code
    kids = {tidegate_json("key", "rotate-signing", *data)["kid"] for _ in range(2)}
    listed = tidegate("key", "list", "--owner", "ci", *data).stdout

    assert (before, revoked.returncode, after, len(kids)) == (200, 0, 401, 2)
    assert f"{made['prefix']}  revoked 20" in listed
    assert made["key"].split("_")[2] not in listed


@pytest.mark.parametrize(
    ("arguments", "password", "reason"),
    [
        (("user", "add", "eve"), "short\n", "answers 422: password: at least 10 characters"),
        (("user", "add", "eve"), "", "no password: type it"),
        (("user", "add", "t/d"), "correct horse\n", "answers 422: username: 1 to 128"),
        (("user", "password", "nobody"), "correct horse\n", "answers 404: no such user"),
        (("user", "disable", "nobody"), "", "answers 404: no such user"),
        (("key", "add", "x", "--owner", "nobody", "--scope", "*"), "", "answers 422: owner"),
        (("key", "revoke", "nosuchkey"), "", "answers 404: no such key"),
    ],
)
def test_auth_commands_say_what_is_wrong(
    office: tuple[int, Path], arguments: tuple[str, ...], password: str, reason: str
) -> None:
    """What is not taken is one line and exit code 2, without the password."""
    _, folder = office

    done = _with_password(password, *arguments, "--data", folder / "data")

    assert done.returncode == 2
    assert reason in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not password.strip() or password.strip() not in done.stderr

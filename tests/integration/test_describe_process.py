"""What a running system says of itself, and the commands beside it."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.instances import eventually, started, tidegate, tidegate_json
from tests.support.ports import unused_port
from tests.support.steps import write_steps

STEPS = {
    "keep_step": """
    config = {"type": "api", "name": "Keep", "method": "POST", "path": "/keep", "emits": [],
              "flows": ["keeping"]}
    async def handler(req, ctx):
        await ctx.state.set(req.body["group"], req.body["key"], 1, ttl=req.body.get("ttl"))
    """,
    "die_step": """
    config = {"type": "event", "name": "Die", "subscribes": ["die"], "emits": [],
              "retry": {"attempts": 1}}
    async def handler(data, ctx, *, data_dir):
        if not (data_dir / "mended").exists():
            raise RuntimeError("dead")
        await ctx.state.increment("lives", "n")
    """,
}
ODD_NAMES = ["a/b", "100%", "..", "Grüße 🌊", "?a=b&c#d", "a%2Fb", " "]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Run the steps for all tests of this module; return the address and the folder."""
    folder, port = tmp_path_factory.mktemp("described"), unused_port()
    with started(folder, write_steps(folder / "steps", STEPS), port):
        yield f"http://127.0.0.1:{port}", folder


@pytest.fixture
def client(place: tuple[str, Path]) -> Iterator[httpx.Client]:
    """Return a client with the administrator's token."""
    address, folder = place
    token = (folder / "data" / "admin.token").read_text().strip()
    with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {token}"}) as opened:
        yield opened


def _die(client: httpx.Client, data: Path, count: int) -> list[int]:
    """Let events die; return the ids of all that are dead."""
    before = len(tidegate_json("dead", "list", "--data", data)["dead"])
    for number in range(count):
        client.post("/api/v1/emit", json={"topic": "die", "data": number}).raise_for_status()

    def dead() -> list[int]:
        return [letter["id"] for letter in tidegate_json("dead", "list", "--data", data)["dead"]]

    eventually(lambda: len(dead()) == before + count)
    return dead()


@pytest.mark.parametrize("name", ["openapi", "asyncapi"])
def test_describe_serves_what_the_command_writes(
    place: tuple[str, Path], client: httpx.Client, tmp_path: Path, name: str
) -> None:
    """The documents are for known callers, and equal what the commands write."""
    address, folder = place

    stranger = httpx.get(f"{address}/{name}.json")
    served = client.get(f"/{name}.json")
    done = tidegate(name, "--steps", folder / "steps", "--output", tmp_path / "document.json")

    assert stranger.status_code == 401
    assert served.status_code == 200
    assert (done.returncode, done.stdout) == (0, "")
    assert json.loads((tmp_path / "document.json").read_text()) == served.json()


def test_describe_is_open_in_development(tmp_path: Path) -> None:
    """`tidegate dev` shows both documents to everybody, and the workbench to nobody."""
    port = unused_port()
    address = f"http://127.0.0.1:{port}"
    with started(tmp_path, write_steps(tmp_path / "steps", STEPS), port, command="dev"):
        codes = {
            path: httpx.get(address + path).status_code
            for path in ("/openapi.json", "/asyncapi.json", "/api/v1/steps")
        }

    assert codes == {"/openapi.json": 200, "/asyncapi.json": 200, "/api/v1/steps": 401}


def test_describe_writes_where_it_can(place: tuple[str, Path], tmp_path: Path) -> None:
    """A file that cannot be written is one line and exit code 2."""
    missing = tmp_path / "no" / "such" / "file.json"

    done = tidegate("openapi", "--steps", place[1] / "steps", "--output", missing)

    assert done.returncode == 2
    assert "cannot be written" in done.stderr


def test_describe_draws_steps(place: tuple[str, Path]) -> None:
    """Steps are drawn in three languages, and listed with their flows."""
    steps = place[1] / "steps"

    drawn = {
        form: tidegate("steps", "graph", "--steps", steps, "--format", form).stdout
        for form in ("mermaid", "dot", "json")
    }
    listed = tidegate("steps", "list", "--steps", steps).stdout

    assert drawn["mermaid"].startswith("flowchart LR\n")
    assert drawn["dot"].startswith("digraph steps {\n")
    assert json.loads(drawn["json"])["flows"][-1] == {"name": "keeping", "steps": ["Keep"]}
    assert tidegate("steps", "graph", "--steps", steps).stdout == drawn["mermaid"]
    assert "[keeping]" in listed


@pytest.mark.parametrize("name", ODD_NAMES)
def test_describe_state_takes_any_name(place: tuple[str, Path], name: str) -> None:
    """Groups and keys of any characters are set, read and listed by the commands."""
    data = place[1] / "data"

    done = tidegate("state", "set", name, name, '{"n": [1, null]}', "--data", data)
    got = tidegate_json("state", "get", name, name, "--data", data)

    assert done.returncode == 0, done.stderr
    assert got == {"value": {"n": [1, None]}}
    assert tidegate_json("state", "list", name, "--data", data)["keys"] == [name]
    assert name in tidegate("state", "list", "--data", data).stdout


def test_describe_state_is_listed_in_pages(place: tuple[str, Path], client: httpx.Client) -> None:
    """Groups and keys come page by page; the runtime's own and lapsed values are left out."""
    for key in ("a", "b", "c"):
        client.post("/keep", json={"group": "paged", "key": key}).raise_for_status()
    client.post("/keep", json={"group": "paged", "key": "aa", "ttl": 0.001}).raise_for_status()

    first = client.get("/api/v1/state/paged?limit=2").json()
    rest = client.get(f"/api/v1/state/paged?limit=2&cursor={first['next_cursor']}").json()
    groups: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = client.get("/api/v1/state", params={"limit": 1, "cursor": cursor}).json()
        groups += [found["group"] for found in page["groups"]]
        cursor = page["next_cursor"]

    assert (first["keys"], rest["keys"], rest["next_cursor"]) == (["a", "b"], ["c"], None)
    assert "paged" in groups
    assert groups == sorted(set(groups))
    assert not any(group.startswith("tidegate.") for group in groups)


def test_describe_state_of_the_runtime_is_closed(client: httpx.Client) -> None:
    """What the runtime keeps for itself is neither shown nor set nor deleted."""
    path = "/api/v1/state/tidegate.cron/PurgeLapsed"

    answers = [
        client.get(path),
        client.put(path, json={"value": 1}),
        client.delete(path),
        client.get("/api/v1/state/tidegate.cron"),
    ]

    assert [answer.status_code for answer in answers] == [404, 403, 404, 404]


def test_describe_state_is_deleted_and_checked(client: httpx.Client) -> None:
    """A value that is deleted is gone; null is no value, and a group of nothing is 404."""
    client.put("/api/v1/state/d/k", json={"value": 10**30}).raise_for_status()

    kept = client.get("/api/v1/state/d/k").json()
    deleted = [client.delete("/api/v1/state/d/k").status_code for _ in range(2)]

    assert kept == {"value": 10**30}
    assert deleted == [204, 404]
    assert client.put("/api/v1/state/d/k", json={"value": None}).status_code == 422
    assert client.put("/api/v1/state/d/k", json={}).status_code == 422
    assert client.get("/api/v1/state/d").status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/state"),
        ("GET", "/api/v1/state/g"),
        ("PUT", "/api/v1/state/g/k"),
        ("DELETE", "/api/v1/state/g/k"),
        ("GET", "/api/v1/steps/dead/1"),
        ("DELETE", "/api/v1/steps/dead/1"),
        ("POST", "/api/v1/steps/dead/purge"),
        ("POST", "/api/v1/steps/dead/redrive"),
    ],
)
def test_describe_workbench_is_for_administrators(
    place: tuple[str, Path], method: str, path: str
) -> None:
    """Nobody looks in or changes anything without a token."""
    assert httpx.request(method, place[0] + path, json={}).status_code == 401


def test_describe_dead_events_are_purged(place: tuple[str, Path], client: httpx.Client) -> None:
    """One, several or all dead events are forgotten; none is exit code 2."""
    data = place[1] / "data"
    ids = _die(client, data, 4)

    one = tidegate_json("dead", "purge", ids[0], "--data", data)
    some = tidegate_json("dead", "purge", ids[1], ids[2], 999_999, "--data", data)
    rest = tidegate("dead", "purge", "--all", "--data", data)
    none = tidegate("dead", "purge", "--all", "--data", data)

    assert (one, some) == ({"id": ids[0]}, {"purged": 2})
    assert rest.stdout == "1 purged\n"
    assert (none.returncode, "404: no such dead event" in none.stderr) == (2, True)
    assert client.get(f"/api/v1/steps/dead/{ids[0]}").status_code == 404


def test_describe_dead_events_are_redriven(place: tuple[str, Path], client: httpx.Client) -> None:
    """Dead events are shown and tried again, some by their ids and then the rest."""
    data = place[1] / "data"
    ids = _die(client, data, 3)
    shown = tidegate_json("dead", "show", ids[0], "--data", data)
    (data / "mended").touch()

    some = tidegate_json("dead", "redrive", ids[0], ids[1], "--data", data)
    rest = tidegate_json("dead", "redrive", "--all", "--data", data)

    assert (shown["id"], shown["step"], shown["topic"]) == (ids[0], "Die", "die")
    assert (some, rest) == ({"redriven": 2}, {"redriven": 1})
    eventually(lambda: client.get("/api/v1/state/lives/n").json().get("value") == 3)
    (data / "mended").unlink()


@pytest.mark.parametrize("body", [{}, {"ids": []}, {"all": False}, {"ids": [1], "all": True}])
def test_describe_dead_events_must_be_chosen(client: httpx.Client, body: dict[str, object]) -> None:
    """A body that does not say which is refused: nothing is forgotten by mistake."""
    assert client.post("/api/v1/steps/dead/purge", json=body).status_code == 422


@pytest.mark.parametrize("arguments", [(), ("1", "--all")])
def test_describe_dead_command_wants_a_choice(
    place: tuple[str, Path], arguments: tuple[str, ...]
) -> None:
    """`purge` and `redrive` want ids or `--all`, not both and not neither."""
    for command in ("purge", "redrive"):
        done = tidegate("dead", command, *arguments, "--data", place[1] / "data")

        assert done.returncode == 2
        assert "name the ids of dead events, or say --all" in done.stderr

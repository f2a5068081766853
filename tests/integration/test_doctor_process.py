"""`tidegate doctor` beside real folders, stores and brokers."""

import socket
import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.instances import eventually, started, tidegate, tidegate_json
from tests.support.ports import unused_port
from tests.support.servers import Mosquitto
from tests.support.steps import write_steps
from tidegate.doctor.machine import kind_of_mount

GOOD = {
    "order_step": """
    config = {"type": "api", "name": "Order", "method": "POST", "path": "/orders",
              "emits": ["order.placed"]}
    async def handler(req, ctx):
        await ctx.emit("order.placed", req.body)
    """,
    "pack_step": """
    config = {"type": "event", "name": "Pack", "subscribes": ["order.placed"], "emits": [],
              "retry": {"attempts": 1}}
    async def handler(order, ctx):
        raise RuntimeError("no box fits")
    """,
}


def _findings(*arguments: object) -> list[tuple[str, str, str]]:
    """Return level, check and text of each finding; the exit code must fit them."""
    done = tidegate("doctor", *arguments, "--port", unused_port(), "--json")
    found: list[dict[str, Any]] = msgspec.json.decode(done.stdout)["findings"]
    assert done.returncode == int(any(one["level"] == "FAIL" for one in found)), done.stderr
    return [(one["level"], one["check"], one["found"]) for one in found]


def test_doctor_is_content_with_what_is_well(tmp_path: Path) -> None:
    """Steps that load and a folder that can be made are all fine, and nothing is made."""
    steps = write_steps(tmp_path / "steps", GOOD)

    found = _findings("--steps", steps, "--data", tmp_path / "data")

    assert {level for level, check, _ in found if check not in ("disk", "space")} == {"ok"}
    assert {"python", "steps", "events", "data", "clock", "port", "store", "reports"} <= {
        check for _, check, _ in found
    }
    assert not (tmp_path / "data").exists()


def test_doctor_names_every_fault_of_steps(tmp_path: Path) -> None:
    """Each faulty file is named with its line, and what cannot be seen by loading, too."""
    files = {
        **GOOD,
        "broken_step": "\nconfig = {)\n",
        "key_step": "\nconfig = {'type': 'noop', 'name': 'K', 'emit': []}\n",
        "typo_step": """
        import time
        config = {"type": "event", "name": "Typo", "subscribes": ["order.plaecd"], "emits": []}
        async def handler(order, ctx):
            time.sleep(1)
            return chrage(order)
        """,
    }
    steps = write_steps(tmp_path / "steps", files)

    found = _findings("--steps", steps, "--data", tmp_path / "data")

    texts = {(level, check): text for level, check, text in found}
    faults = [text for level, check, text in found if (level, check) == ("FAIL", "steps")]
    assert [fault.split("/")[-1].split(" ")[0] for fault in faults] == [
        "broken_step.py:2:",
        "key_step.py:2:",
    ]
    assert "typo_step.py:6: 'chrage' is defined nowhere" in texts["FAIL", "names"]
    assert "typo_step.py:5: time.sleep holds up" in texts["warn", "blocking"]
    assert "'order.plaecd', which Typo hears" in texts["warn", "events"]


def test_doctor_finds_what_waits_for_steps_that_are_gone(tmp_path: Path) -> None:
    """Events and dead events of steps that are not loaded are counted, beside a running system."""
    steps = write_steps(tmp_path / "steps", GOOD)
    data = tmp_path / "data"
    with started(tmp_path, steps, unused_port()):
        for _ in range(2):
            assert tidegate("emit", "order.placed", "{}", "--data", data).returncode == 0
        eventually(lambda: len(tidegate_json("dead", "list", "--data", data)["dead"]) == 2)
        running = _findings("--steps", steps, "--data", data)
    (steps / "pack_step.py").unlink()

    gone = _findings("--steps", steps, "--data", data)

    assert ("ok", "dead", "2 events died") in running
    assert any(check == "port" and "an instance runs at" in text for _, check, text in running)
    assert (
        "warn", "dead", "2 events died for the step 'Pack', which is not loaded",
    ) in gone  # fmt: skip


def test_doctor_looks_into_stores(tmp_path: Path) -> None:
    """A store of a newer version and a file that is none fail, and stay as they are."""
    newer, none = tmp_path / "newer.db", tmp_path / "none.db"
    with sqlite3.connect(newer) as db:
        db.execute("CREATE TABLE delivery (step)")
        db.execute("CREATE TABLE dead (step)")
        db.execute("PRAGMA user_version = 999")
    none.write_text("no database, whatever its length and its name may be" * 100)

    of_newer = _findings("--data", tmp_path, "--store", f"sqlite:///{newer}")
    of_none = _findings("--data", tmp_path, "--store", f"sqlite:///{none}")

    assert any(
        (level, check) == ("FAIL", "store") and "written by a newer version" in text
        for level, check, text in of_newer
    )
    assert any((level, check) == ("FAIL", "store") for level, check, _ in of_none)


def test_doctor_looks_into_postgresql(tmp_path: Path, postgres_url: str) -> None:
    """A database without a store is fine, one with a store tells its schema and events."""
    steps = write_steps(tmp_path / "steps", GOOD)
    empty = _findings("--data", tmp_path, "--store", postgres_url)
    with started(tmp_path, steps, unused_port(), "--store", postgres_url):
        used = _findings("--steps", steps, "--data", tmp_path / "data", "--store", postgres_url)

    assert ("ok", "store", "none yet: the first start makes it") in empty
    assert any(check == "store" and text.startswith("answers, schema") for _, check, text in used)
    assert ("ok", "queue", "0 events wait") in used


def test_doctor_fails_for_a_database_that_is_away(tmp_path: Path) -> None:
    """A database that does not answer fails, with what to do."""
    url = f"postgresql://nobody@127.0.0.1:{unused_port()}/none"

    done = tidegate("doctor", "--data", tmp_path, "--store", url, "--port", unused_port())

    assert done.returncode == 1
    assert "FAIL  store" in done.stdout
    assert "start the database, or correct --store" in done.stdout


def test_doctor_sees_who_holds_the_port(tmp_path: Path) -> None:
    """A port that somebody else listens on fails."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = tidegate("doctor", "--data", tmp_path, "--port", other.getsockname()[1])

    assert done.returncode == 1
    assert "choose another with --port" in done.stdout


def test_doctor_asks_the_broker(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """A broker that answers is fine, one that is away fails."""
    there = _findings("--data", tmp_path, "--mqtt", f"mqtt://127.0.0.1:{mosquitto.port}")
    away = _findings("--data", tmp_path, "--mqtt", f"mqtt://u:p@127.0.0.1:{unused_port()}")

    assert ("ok", "broker") in {(level, check) for level, check, _ in there}
    assert ("FAIL", "broker") in {(level, check) for level, check, _ in away}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--mqtt", "http://u:geheim@host"), "--mqtt: write mqtt://"),
        (("--store", "mysql://x"), "the store's URL must be"),
        (("--steps", "no-such-folder"), "no such folder of steps"),
    ],
)
def test_doctor_refuses_misuse(tmp_path: Path, arguments: tuple[str, ...], reason: str) -> None:
    """What cannot be asked is one line and exit code 2, without what may be a password."""
    done = tidegate("doctor", "--data", tmp_path, "--port", unused_port(), *arguments)

    assert done.returncode == 2
    assert reason in done.stderr
    assert "geheim" not in done.stderr


def test_doctor_knows_what_a_folder_is_on() -> None:
    """The innermost mount counts, also one with a space in its name."""
    mounts = "/dev/a / ext4 rw\ntmpfs /run tmpfs rw\nnas:/x /mnt/my\\040data nfs4 rw\nodd\n"

    assert kind_of_mount(Path("/run/data"), mounts) == "tmpfs"
    assert kind_of_mount(Path("/runner"), mounts) == "ext4"
    assert kind_of_mount(Path("/mnt/my data/a"), mounts) == "nfs4"

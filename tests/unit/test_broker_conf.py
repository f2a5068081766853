"""The launched Mosquitto's configuration and its log."""

from pathlib import Path

import pytest

import broker
from broker.conf import render_conf
from broker.logfile import last_line, shorten

SHIPPED = (Path(broker.__file__).parent / "mosquitto.conf").read_text("utf-8")


def _render(text: str = SHIPPED, user: str | None = None) -> list[str]:
    return render_conf(
        text,
        host="0.0.0.0",
        port=2883,
        folder=Path("/data/my broker"),
        acl_file=Path("/pkg/acl"),
        user=user,
    ).splitlines()


def test_render_conf_replaces_addresses_and_files() -> None:
    """Listener, accounts, rules and sessions are the instance's own."""
    lines = _render()

    assert "listener 2883 0.0.0.0" in lines
    assert "password_file /data/my broker/accounts" in lines
    assert "acl_file /pkg/acl" in lines
    assert "persistence_location /data/my broker/" in lines
    assert not [line for line in lines if line.startswith("user ")]


def test_render_conf_keeps_every_other_line() -> None:
    """Limits and switches are those of the shipped file, in its order."""
    shipped = [line for line in SHIPPED.splitlines() if line and not line.startswith("#")]

    kept = [line for line in _render()[1:] if line in shipped]

    words = ("listener", "password_file", "acl_file", "persistence_location", "persistence_file")
    assert [line for line in kept if not line.startswith(words)] == [
        line for line in shipped if not line.startswith(words)
    ]


def test_render_conf_names_the_user_when_asked() -> None:
    """As root Mosquitto is told whom to stay."""
    assert _render(user="root")[-1] == "user root"


def test_render_conf_refuses_a_file_without_its_lines() -> None:
    """A shipped file that lost its listener is a mistake, not a default."""
    with pytest.raises(ValueError, match="listener"):
        _render("acl_file acl\n")


def test_shipped_conf_binds_client_ids_on_every_listener() -> None:
    """Each listener, also the one in comments, has the line that prevents a takeover."""
    listeners = [part for part in SHIPPED.split("listener ")[1:] if part[0].isdigit()]

    assert len(listeners) == 2
    assert all("use_username_as_clientid true" in part for part in listeners)


def test_shorten_keeps_the_last_large_log(tmp_path: Path) -> None:
    """A log over the bound becomes NAME.1 and begins anew; a small one stays."""
    log = tmp_path / "mosquitto.log"
    log.write_text("x" * 100)

    shorten(log, max_bytes=100)
    assert log.read_text() == "x" * 100
    shorten(log, max_bytes=99)

    assert log.read_text() == ""
    assert (tmp_path / "mosquitto.log.1").read_text() == "x" * 100


def test_last_line_finds_what_was_said_last(tmp_path: Path) -> None:
    """Blank lines at the end are skipped; a missing log is no error."""
    log = tmp_path / "mosquitto.log"

    assert last_line(log) == "it said nothing"
    log.write_text("first\nError: last \n\n")
    assert last_line(log) == "Error: last"

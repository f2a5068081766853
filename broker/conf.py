"""The configuration that a launched Mosquitto gets, derived from the shipped `mosquitto.conf`."""

from pathlib import Path

_REPLACED = frozenset(
    ("listener", "password_file", "acl_file", "persistence_location", "persistence_file", "user")
)


def render_conf(
    shipped: str, *, host: str, port: int, folder: Path, acl_file: Path, user: str | None
) -> str:
    """Replace the lines of the shipped file that name an address or a file.

    `folder` (absolute) receives the sessions and holds the accounts. `user` is whom Mosquitto
    becomes after a start as root; None leaves that to Mosquitto.

    Raises:
        ValueError: the shipped file lacks one of the lines, so that the rest could not be meant.
    """
    lines_by_word = {
        "listener": f"listener {port} {host}",
        "password_file": f"password_file {folder / 'accounts'}",
        "acl_file": f"acl_file {acl_file}",
        "persistence_location": f"persistence_location {folder}/",
        "persistence_file": "persistence_file sessions.db",
    }
    missing = dict(lines_by_word)
    lines = ["# Made from broker/mosquitto.conf at every start: changes here are lost."]
    for line in shipped.splitlines():
        word = line.split(" ", 1)[0]
        if not line.strip() or line.startswith("#"):
            continue
        lines.append(missing.pop(word, line) if word in _REPLACED else line)
    if missing:
        raise ValueError(f"mosquitto.conf lacks: {', '.join(sorted(missing))}")
    if user is not None:
        lines.append(f"user {user}")
    return "\n".join(lines) + "\n"

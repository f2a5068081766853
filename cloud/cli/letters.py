"""`tidegate letters list|show|replay`: what arrived and could not be stored."""

import base64
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import typer
from rich.console import Console
from rich.progress import Progress

from tidegate.cli.running import DATA, Data, Json, ask, print_json
from tidegate.errors import Misconfigured

_PATH = "/api/v1/dead-letters"
_LETTERS_A_REQUEST = 100

app = typer.Typer(
    help="Look at messages that could not be stored, and send them through ingestion again.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
LetterId = Annotated[int, typer.Argument(metavar="ID", help="The letter's id.", min=1)]
LetterIds = Annotated[
    list[int] | None, typer.Argument(metavar="[ID]...", help="The letters' ids.", min=1)
]
Tenant = Annotated[str | None, typer.Option(help="Only this tenant's.")]
Device = Annotated[str | None, typer.Option(help="Only this device's, of the tenant.")]
Reason = Annotated[str | None, typer.Option(help="Only those whose reason contains this text.")]


@app.command("list")
def list_letters(  # noqa: PLR0917 - typer calls it by names
    data: Data = DATA,
    tenant: Tenant = None,
    device: Device = None,
    reason: Reason = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=1000)] = 100,
    cursor: Annotated[int | None, typer.Option(help="Only those before this id.", min=1)] = None,
    as_json: Json = False,
) -> None:
    """List dead letters, newest first."""
    asked = _given(tenant=tenant, device=device, reason=reason, limit=limit, cursor=cursor)
    page = ask(data, "GET", f"{_PATH}?{urlencode(asked)}")
    if as_json:
        print_json(page)
        return
    for letter in page["dead_letters"]:
        print(f"{letter['id']}  {letter['topic']}  {letter['readings']}  {letter['reason']}")
    if page["next_cursor"] is not None:
        print(f"There are more: --cursor {page['next_cursor']}")
    if page["dropped"]:
        print(f"{page['dropped']} older letters had to make room.")


@app.command()
def show(letter_id: LetterId, data: Data = DATA, as_json: Json = False) -> None:
    """Show a letter and its payload: as text, or in hexadecimal when it is none."""
    page = ask(data, "GET", f"{_PATH}?limit=1&cursor={letter_id + 1}")
    found = page["dead_letters"]
    if not found or found[0]["id"] != letter_id:
        raise Misconfigured(f"there is no letter {letter_id} (any more)")
    letter = found[0]
    if as_json:
        print_json(letter)
        return
    for name, value in letter.items():
        if not name.startswith("payload"):
            print(f"{name:<14} {value}")
    print(_readable(letter))


@app.command()
def replay(  # noqa: PLR0917 - typer calls it by names
    data: Data = DATA,
    letter_ids: LetterIds = None,
    tenant: Tenant = None,
    device: Device = None,
    reason: Reason = None,
    everything: Annotated[bool, typer.Option("--all", help="All letters there are.")] = False,
    as_json: Json = False,
) -> None:
    """Send letters through ingestion again; what is refused again is a new letter."""
    chosen = _given(tenant=tenant, device=device, reason=reason)
    if sum((bool(letter_ids), bool(chosen), everything)) != 1:
        raise Misconfigured("name letters by their ids, by --tenant, --device, --reason, or --all")
    sums = _replay_ids(data, letter_ids) if letter_ids else _replay_all(data, chosen)
    if as_json:
        print_json(sums)
    else:
        print(
            f"{sums['letters']} letters, {sums['accepted']} readings stored,"
            f" {sums['refused']} letters refused again, {sums['skipped']} skipped"
        )
    if sums["stopped"]:
        raise Misconfigured(f"stopped early: {sums['stopped']}")


def _replay_ids(data: Path, letter_ids: list[int]) -> dict[str, Any]:
    sums = _no_sums()
    for letter_id in letter_ids:
        answer = ask(data, "POST", f"{_PATH}/{letter_id}/replay")
        sums["letters"] += 1
        sums["accepted"] += answer["accepted"]
        sums["refused"] += bool(answer["rejected"])
    return sums


def _replay_all(data: Path, chosen: dict[str, Any]) -> dict[str, Any]:
    """Replay page by page, down to the oldest; what is refused meanwhile is not met again."""
    sums, cursor = _no_sums(), None
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Replaying", total=None)
        while True:
            body = _given(**chosen, limit=_LETTERS_A_REQUEST, cursor=cursor)
            answer = ask(data, "POST", f"{_PATH}/replay", body=body)
            for name in ("letters", "accepted", "refused", "skipped"):
                sums[name] += answer[name]
            cursor = None if answer["next_cursor"] is None else int(answer["next_cursor"])
            done = sums["letters"] + sums["skipped"]
            progress.update(task, completed=done, total=done + answer["left"])
            sums["stopped"] = answer["stopped"]
            if cursor is None or answer["stopped"]:
                return sums


def _no_sums() -> dict[str, Any]:
    return {"letters": 0, "accepted": 0, "refused": 0, "skipped": 0, "stopped": None}


def _given(**values: object) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _readable(letter: dict[str, Any]) -> str:
    if "payload" in letter:
        return str(letter["payload"])
    return base64.b64decode(letter["payload_base64"]).hex(" ")

"""`tidegate emit`: emit an event by hand."""

from typing import Annotated

import msgspec
import typer

from tidegate.cli.running import DATA, Data, ask
from tidegate.errors import Misconfigured


def emit(
    topic: Annotated[str, typer.Argument(help="The event's topic.")],
    data_json: Annotated[str, typer.Argument(metavar="JSON", help="The event's data.")],
    data: Data = DATA,
) -> None:
    """Emit an event into the running instance; durable when the command ends."""
    try:
        content = msgspec.json.decode(data_json)
    except msgspec.DecodeError as exc:
        raise Misconfigured(f"the event's data is no JSON: {exc}") from exc
    answer = ask(data, "POST", "/api/v1/emit", body={"topic": topic, "data": content})
    steps = ", ".join(answer["steps"])
    print(f"{topic} goes to {steps}" if steps else f"no step subscribes to '{topic}'")

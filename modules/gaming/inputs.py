"""What a client sends while it plays: decoded strictly, from whatever it may be. Pure."""

import msgspec

from modules.gaming.duel.game import Action, Lay, Move, Shoot, Surrender, Wait

MAX_MESSAGE_BYTES = 1024


class BadInput(Exception):
    """A message that is no input; the text says what is wrong and repeats nothing of it."""


_decoder: msgspec.json.Decoder[Action] = msgspec.json.Decoder(Move | Shoot | Lay | Wait | Surrender)


def decode(message: object) -> Action:
    """Return the action that a message asks for.

    Raises:
        BadInput: it is no text, too long, no JSON, or no action that there is.
    """
    if not isinstance(message, (str, bytes)):
        raise BadInput("a message must be a text")
    size_bytes = len(message)
    if size_bytes > MAX_MESSAGE_BYTES:
        raise BadInput(f"a message of {size_bytes} is longer than {MAX_MESSAGE_BYTES}")
    try:
        return _decoder.decode(message)
    except msgspec.ValidationError as exc:
        raise BadInput(_reason(exc)) from exc
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise BadInput(
            "a message must be JSON like {'type': 'move', 'direction': 'north'}"
        ) from exc


def _reason(exc: msgspec.ValidationError) -> str:
    """Return what is wrong and where; the client's own words are left out."""
    _, _, place = str(exc).partition(" - at `$.")
    field = place.rstrip("`")
    return f"no such input: see its field '{field}'" if field.isidentifier() else "no such input"

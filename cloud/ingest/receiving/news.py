"""What the receiver's thread has to tell the event loop about our session. Data only."""

from typing import Literal, NamedTuple


class News(NamedTuple):
    """One thing that happened.

    `subscribed`: the broker delivers to us; `settled`: and its session holds none of our
    earlier filters any more; `session_lost`: it had forgotten us; `dropped`: `messages` is how
    many messages it has dropped since its start.
    """

    what: Literal["subscribed", "settled", "session_lost", "dropped"]
    messages: int = 0

"""What one connection, request or WebSocket may take at most: sizes in bytes, times in seconds."""

import msgspec

_KIB = 1024
_MIB = 1024 * _KIB


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of HTTP and WebSockets; the defaults are those of the contract.

    Attributes:
        head_bytes: a request's head, first line and headers; beyond it 431.
        head_timeout_s: until a head is complete; beyond it the connection is closed.
        body_bytes: a request's body; beyond it 413.
        body_timeout_s: until a body is complete; beyond it 408.
        linger_s: how long the rest of a body that nobody wanted is waited for.
        stuck_s: how long a closing connection lasts whose client takes nothing of what is left.
        takes_nothing_s: how long an answer's client may take nothing at all before its connection
            is given up; longer than `send_timeout_s`, so that who sends counts it first.
        send_timeout_s: until a piece of a stream or a file is taken; beyond it the answer is cut.
        message_bytes: a WebSocket message, either way, and all that one invocation sends.
        waiting_bytes: the frames that wait for a WebSocket's client; beyond it 1013.
        stall_timeout_s: until a WebSocket's client takes a frame; beyond it 1013.
    """

    head_bytes: int = 64 * _KIB
    head_timeout_s: float = 30.0
    body_bytes: int = 64 * _MIB
    body_timeout_s: float = 20.0
    linger_s: float = 20.0
    stuck_s: float = 30.0
    takes_nothing_s: float = 90.0
    send_timeout_s: float = 60.0
    message_bytes: int = 16 * _MIB
    waiting_bytes: int = 4 * _MIB
    stall_timeout_s: float = 20.0


STANDARD = Limits()

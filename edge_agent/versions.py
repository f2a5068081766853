"""Which version of MQTT to try with a broker that may only speak the older one. Pure."""

from typing import Literal

from edge_agent.connection import Version


class Versions:
    """Version 5 as long as possible: only it tells when a message was refused.

    A refusal that says so is remembered. A broker that is mute or hangs up may not understand
    version 5 at all, or may just be busy: it is asked once with 3.1.1, and with 5 next time.
    """

    def __init__(self, wanted: Literal["auto", "5", "3.1.1"]) -> None:
        self._is_fixed = wanted != "auto"
        self._is_tried_once = False
        self.current: Version = "3.1.1" if wanted == "3.1.1" else "5"

    def refused(self) -> None:
        """The broker said that it does not speak this version."""
        self._switch()

    def maybe_unknown(self) -> None:
        """The broker ended, or never began, the conversation without a word."""
        self._switch()
        self._is_tried_once = self.current == "3.1.1"

    def ended(self) -> None:
        """A connection that the broker had accepted came to its end."""
        if self._is_tried_once:
            self._is_tried_once = False
            self._switch()

    def _switch(self) -> None:
        if not self._is_fixed:
            self.current = "5" if self.current == "3.1.1" else "3.1.1"

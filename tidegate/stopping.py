"""SIGTERM and Ctrl-C: ask everything to stop in order, and make sure that it does."""

import os
import signal
import threading

import anyio
import structlog

_DEADLINE_S = 7.0
_FORCED_EXIT_CODE = 70

log = structlog.get_logger()


async def set_on_signal(stop: anyio.Event) -> None:
    """Set the event at the first signal. A second one, or a stop that hangs, ends us at once.

    What is acknowledged is on disk by then, so an end at once loses nothing.
    """
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for signum in signals:
            if stop.is_set():
                os._exit(_FORCED_EXIT_CODE)
            log.info("platform.stopping", signal=signum.name)
            stop.set()
            _force_after(_DEADLINE_S)


def _force_after(deadline_s: float) -> None:
    def end() -> None:
        log.warning("platform.stop_forced", after_s=deadline_s)
        os._exit(_FORCED_EXIT_CODE)

    timer = threading.Timer(deadline_s, end)
    timer.daemon = True
    timer.start()

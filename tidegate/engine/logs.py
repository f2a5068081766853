"""Logging of the runtime: structlog, pretty on a terminal, JSON lines elsewhere."""

import logging
import sys
from typing import Any

import structlog

from tidegate.contract import Logger


def set_up_logging(level: str = "INFO") -> None:
    """Configure structlog and bring the standard library's loggers to the same form."""
    renderer: Any = (
        structlog.dev.ConsoleRenderer()
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")


class StepLogger:
    """`ctx.logger`: details come as keywords or, as the seed's samples do, as one dict."""

    def __init__(self, **bound: object) -> None:
        self._logger = structlog.get_logger().bind(**bound)

    def debug(self, event: str, details: dict[str, Any] | None = None, **fields: object) -> None:
        """Log what only a developer wants to know."""
        self._logger.debug(event, **(details or {}), **fields)

    def info(self, event: str, details: dict[str, Any] | None = None, **fields: object) -> None:
        """Log what happened."""
        self._logger.info(event, **(details or {}), **fields)

    def warning(self, event: str, details: dict[str, Any] | None = None, **fields: object) -> None:
        """Log what an operator should look at."""
        self._logger.warning(event, **(details or {}), **fields)

    def error(self, event: str, details: dict[str, Any] | None = None, **fields: object) -> None:
        """Log what an operator must look at."""
        self._logger.error(event, **(details or {}), **fields)


def step_logger(step: str, trace_id: str) -> Logger:
    """Return the logger of one invocation."""
    return StepLogger(step=step, trace_id=trace_id)

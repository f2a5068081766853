"""Which problem document an error becomes."""

import structlog

from tidegate.engine.schemas import InvalidData
from tidegate.errors import Conflict, HTTPError, StoreAway
from tidegate.http.answer import Answer
from tidegate.http.checking import AnswerBroken
from tidegate.http.problem import refusal
from tidegate.http.source import Gone, Source, too_slow

log = structlog.get_logger()


def problem_of(exc: Exception, source: Source) -> Answer | None:
    """Return the answer to an error that is no bug, else None."""
    if isinstance(exc, InvalidData):
        return refusal(422, "the request does not fit", errors=[f._asdict() for f in exc.flaws])
    if isinstance(exc, HTTPError):
        again = {"Retry-After": str(exc.retry_after_s)} if exc.status in (429, 503) else {}
        return refusal(exc.status, exc.detail, headers=again)
    if isinstance(exc, (StoreAway, Conflict)):
        return refusal(503, str(exc), headers={"Retry-After": "1"})
    if isinstance(exc, TimeoutError):
        if source.is_reading:
            return refusal(408, too_slow().detail)
        return refusal(503, "the handler took too long", headers={"Retry-After": "1"})
    if isinstance(exc, AnswerBroken):
        log.error("api.answer_broken", reason=str(exc))
        return refusal(500, str(exc))
    return refusal(400, "the body ended early") if isinstance(exc, Gone) else None

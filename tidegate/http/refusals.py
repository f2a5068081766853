"""Which problem document an error becomes."""

import structlog

from tidegate.engine.schemas import InvalidData
from tidegate.errors import Conflict, HTTPError, StoreAway
from tidegate.http.answer import Answer
from tidegate.http.checking import AnswerBroken
from tidegate.http.problem import refusal
from tidegate.http.source import Gone, Source

_SOON = {"Retry-After": "1"}

log = structlog.get_logger()


def problem_of(exc: Exception, source: Source) -> Answer | None:
    """Return the answer to an error that is no bug, else None."""
    match exc:
        case InvalidData():
            flaws = [flaw._asdict() for flaw in exc.flaws]
            answer = refusal(422, "the request does not fit", errors=flaws)
        case HTTPError():
            again = {"Retry-After": str(exc.retry_after_s)} if exc.status in (429, 503) else {}
            answer = refusal(exc.status, exc.detail, headers=again)
        case StoreAway() | Conflict():
            answer = refusal(503, str(exc), headers=_SOON)
        case TimeoutError() if source.is_reading:
            answer = refusal(408, source.too_slow().detail)
        case TimeoutError():
            answer = refusal(503, "the handler took too long", headers=_SOON)
        case AnswerBroken():
            log.error("api.answer_broken", reason=str(exc))
            answer = refusal(500, str(exc))
        case Gone():
            answer = refusal(400, "the body ended early")
        case _:
            return None
    return answer

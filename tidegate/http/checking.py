"""Check what api steps answer against their `responseSchema`, in development and in tests."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tidegate.engine.schemas import Checker, InvalidData
from tidegate.errors import Misconfigured, TidegateError
from tidegate.http.answer import Answer, Delegated, Streamed


class AnswerBroken(TidegateError):
    """A handler's answer does not fit what its step declares: the step's author acts."""


class AnswerChecks:
    """A compiled `responseSchema`: a schema by status; a status without one is not checked."""

    def __init__(self, schema: object) -> None:
        """Compile; raise `Misconfigured` when it is no `{status: schema}`."""
        self._checkers = {
            status: Checker(declared) for status, declared in by_status(schema).items()
        }

    def check(self, answer: Answer | Delegated | Streamed) -> None:
        """Check the body of an answer; raise `AnswerBroken` when it does not fit."""
        checker = self._checkers.get(answer.status)
        if checker is None or not isinstance(answer, Answer):
            return
        try:
            checker.check(msgspec.json.decode(answer.body) if answer.body else None)
        except (InvalidData, msgspec.DecodeError) as exc:
            text = f"the answer {answer.status} does not fit the step's responseSchema: {exc}"
            raise AnswerBroken(text) from exc


def by_status(schema: object) -> Mapping[int, Any]:
    """Return a `responseSchema` with its statuses as numbers; raise `Misconfigured`."""
    if schema is None:
        return {}
    try:
        return {int(status): declared for status, declared in dict(schema).items()}  # type: ignore[call-overload]  # any object
    except (TypeError, ValueError) as exc:
        raise Misconfigured("responseSchema must be {status: schema}, as in {200: {…}}") from exc

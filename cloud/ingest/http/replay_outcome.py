"""What became of many letters that were sent through ingestion again. Pure."""

from dataclasses import dataclass, field

from cloud.ingest.http.answers import Accepted, Replayed
from tidegate.errors import HTTPError

_UNAVAILABLE = 503


@dataclass(slots=True)
class ReplayOutcome:
    """Counts while the first `limit` letters of `ids`, newest first, are under way."""

    ids: list[int]
    limit: int
    letters: int = 0
    accepted: int = 0
    refused: int = 0
    skipped: int = 0
    left: list[int] = field(default_factory=list)
    stop: HTTPError | None = None

    def took(self, accepted: Accepted) -> None:
        """Count a letter that went through."""
        self.letters += 1
        self.accepted += accepted.accepted
        self.refused += bool(accepted.rejected)

    def failed(self, number: int, error: HTTPError) -> None:
        """Count a letter that did not: 422 is refused again, 503 stops them all."""
        if error.status == _UNAVAILABLE:
            self.stop = self.stop or error
            self.left.append(number)
        elif error.status in (404, 409):
            self.skipped += 1
        else:
            self.letters += 1
            self.refused += 1

    @property
    def chosen(self) -> list[int]:
        """Return the letters that are to be tried."""
        return self.ids[: self.limit]

    def summed_up(self) -> Replayed:
        """Return the sum; raise the error that stopped it when nothing at all was done."""
        if self.stop is not None and not self.letters and not self.skipped:
            raise self.stop
        cursor = self.chosen[-1] if len(self.ids) > self.limit else None
        if self.left:
            cursor = max(self.left) + 1
        return Replayed(
            self.letters,
            self.accepted,
            self.refused,
            self.skipped,
            len(self.ids) - self.letters - self.skipped,
            None if cursor is None else str(cursor),
            None if self.stop is None else self.stop.detail,
        )

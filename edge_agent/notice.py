"""Say once that something fails, and once that it works again."""

import logging


class Notice:
    """One thing that may fail many times in a row; counts, but does not repeat itself."""

    def __init__(self, log: logging.Logger, what: str) -> None:
        self._log = log
        self._what = what
        self._is_failing = False
        self.failures = 0

    def failed(self, reason: object, *, bug: BaseException | None = None) -> None:
        """Log the first failure of a row, with the traceback of a `bug`."""
        self.failures += 1
        if not self._is_failing:
            self._is_failing = True
            self._log.warning("%s.failed reason=%s", self._what, reason, exc_info=bug)

    def worked(self) -> None:
        """Log the end of a row of failures."""
        if self._is_failing:
            self._is_failing = False
            self._log.info("%s.recovered failures=%d", self._what, self.failures)

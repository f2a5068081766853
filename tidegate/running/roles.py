"""What one process does of the whole: everything, or one part of it."""

from enum import StrEnum

from tidegate.contract import StepType


class Role(StrEnum):
    """A part of the work; `web` is another word for `api`."""

    ALL = "all"
    API = "api"
    WEB = "web"
    INGEST = "ingest"
    WORKER = "worker"
    CRON = "cron"

    @property
    def answers(self) -> bool:
        """Tell whether it serves api steps."""
        return self in (Role.ALL, Role.API, Role.WEB)

    @property
    def begins_cron(self) -> bool:
        """Tell whether it begins the runs of cron steps."""
        return self in (Role.ALL, Role.CRON)

    @property
    def receives(self) -> bool:
        """Tell whether it receives the messages of mqtt steps."""
        return self in (Role.ALL, Role.INGEST)

    @property
    def handles(self) -> tuple[StepType, ...]:
        """Return the types of steps whose deliveries it handles."""
        return _HANDLES[self]


_HANDLES: dict[Role, tuple[StepType, ...]] = {
    Role.ALL: ("event", "mqtt", "cron"),
    Role.API: (),
    Role.WEB: (),
    Role.INGEST: ("mqtt",),
    Role.WORKER: ("event",),
    Role.CRON: ("cron",),
}

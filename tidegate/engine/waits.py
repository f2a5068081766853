"""Answer those who wait for an event (`ctx.wait_for`): the store delivers such events here."""

from pathlib import Path
from typing import Any

from tidegate.contract import Step, StepConfig
from tidegate.engine import values
from tidegate.engine.engine import Engine
from tidegate.store.model import WAITS, Delivery


def fits(wanted: dict[str, Any], data: Any) -> bool:
    """Tell whether an event's data has every field with the value that is waited for."""
    if not wanted:
        return True
    return isinstance(data, dict) and all(
        field in data and data[field] == value for field, value in wanted.items()
    )


def waits_step(engine: Engine) -> Step:
    """Return the step to which the store delivers what somebody waits for."""

    async def answer(event: Any) -> None:
        data = event["data"]
        for waiter in await engine.store.waiters(event["topic"]):
            if fits(values.decode(waiter.match), data):
                answer_data = values.encode(["event", data])
                await engine.store.answer(waiter, answer_data, now_ms=engine.now_ms())
                engine.wake(None)

    config = StepConfig(type="event", name=WAITS, concurrency=4)
    return Step(config, answer, Path(__file__), takes=1)


def with_topic(delivery: Delivery) -> dict[str, Any]:
    """Return what this step's handler gets: it needs the topic, which others do not."""
    return {"topic": delivery.topic, "data": values.decode(delivery.payload)}

"""Configs in older spellings, and what each key may hold."""

from typing import Any

import pytest

from tidegate.contract import Batch, RateLimit, Retry
from tidegate.definition.normalise import normalise
from tidegate.errors import Misconfigured


def _event(**keys: Any) -> dict[str, Any]:
    return {"type": "event", "name": "E", "subscribes": ["x"], **keys}


def test_rules_infrastructure_is_the_older_spelling() -> None:
    """`infrastructure` maps on retry, lease, delay, fifo, concurrency and timeout."""
    queue = {
        "type": "fifo", "maxRetries": 3, "visibilityTimeout": 90, "delaySeconds": 5,
        "concurrency": 4,
    }  # fmt: skip
    handler = {"timeout": 12, "ram": 512, "cpu": 1}

    step = normalise(_event(infrastructure={"queue": queue, "handler": handler}))

    assert step.retry == Retry(attempts=4)
    assert (step.lease, step.delay, step.fifo, step.concurrency) == (90, 5, True, 4)
    assert step.timeout == 12


def test_rules_own_keys_win_over_infrastructure() -> None:
    """What is said in both spellings counts as the newer one says."""
    step = normalise(_event(retry={"attempts": 2}, infrastructure={"queue": {"maxRetries": 9}}))

    assert step.retry.attempts == 2


def test_rules_sections_take_both_spellings() -> None:
    """Keys inside of sections are camelCase or snake_case, too."""
    step = normalise(
        _event(
            rateLimit={"limit": 5, "per": 2},
            batch={"size": 10, "wait": 0.5, "key": "/t"},
            concurrency={"limit": 8},
        )
    )

    assert step.rate_limit == RateLimit(5, 2)
    assert step.batch == Batch(10, 0.5, "/t")
    assert (step.concurrency, step.concurrency_key) == (8, "")


def test_rules_concurrency_by_key_bounds_each_key() -> None:
    """`concurrency: {limit, key}` bounds the events of one key, not of the step."""
    step = normalise(_event(concurrency={"limit": 2, "key": "/t"}))

    assert (step.concurrency, step.key_concurrency, step.concurrency_key) == (16, 2, "/t")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"cron": "* * * * *"}, "a step of type 'event' has no key 'cron'"),
        ({"retry": {"attempz": 3}}, "unknown key 'retry.attempz', did you mean 'attempts'"),
        ({"retry": {"attempts": 0}}, "retry.attempts must be a number from 1"),
        ({"timeout": 0}, "timeout must be seconds, above 0"),
        ({"delay": -1}, "delay must be seconds, from 0"),
        ({"lease": float("nan")}, "lease must be seconds"),
        ({"batch": {"size": 0}}, "batch.size must be a number from 1"),
        ({"batch": {"size": 5}, "key": "/k"}, "batch and key do not go together"),
        ({"rateLimit": {"limit": 0}}, "rate_limit.limit must be a number from 1"),
        ({"infrastructure": {"queue": {"type": "lifo"}}}, "must be 'standard' or 'fifo'"),
        ({"infrastructure": {"queue": {"maxRetry": 1}}}, "did you mean 'max_retries'"),
        ({"infrastructure": 5}, "infrastructure must be a dict"),
        ({"name": "tidegate.own"}, "does not begin with 'tidegate.'"),
        ({"execution": "thread"}, "execution"),
    ],
)
def test_rules_mistakes_name_the_key(keys: dict[str, Any], message: str) -> None:
    """A wrong value or key refuses the step, and says which and why."""
    with pytest.raises(Misconfigured) as caught:
        normalise(_event(**keys))

    assert message in str(caught.value)


def test_rules_typed_config_is_taken_as_it_is() -> None:
    """The model that a dict becomes is a config itself."""
    step = normalise(_event())

    assert normalise(step) is step


@pytest.mark.parametrize("key", ["subscribes", "emits"])
@pytest.mark.parametrize("topic", ["a.*.b", "*", "a*", ".*", "*.a", "*.*", "a.*.*", "a.**", ""])
def test_rules_refuse_topics_that_match_nothing(key: str, topic: str) -> None:
    """A topic is an exact name, or a name with `.*` at its end."""
    with pytest.raises(Misconfigured, match=f"{key}: "):
        normalise(_event(**{key: ["good", "good.*", topic]}))


def test_rules_refuse_one_key_in_two_spellings() -> None:
    """Nobody can tell which of two spellings counts."""
    with pytest.raises(Misconfigured, match="'rateLimit' and 'rate_limit' are the same key"):
        normalise(_event(rateLimit={"limit": 1}, rate_limit={"limit": 5}))

    with pytest.raises(Misconfigured, match=r"'maxRetries' and 'max_retries' are the same key"):
        normalise(_event(infrastructure={"queue": {"maxRetries": 1, "max_retries": 2}}))

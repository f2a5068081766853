"""A loss of messages becomes a condition that begins once and ends after a quiet time."""

import msgspec
import pytest

from cloud.alerts import lifecycle, losses
from cloud.alerts.lifecycle import alert_id_of
from cloud.alerts.rules import LossRule, Rules, typed_rules
from cloud.alerts.steps import close_quiet_losses_step, open_loss_alert_step
from cloud.settings import Alerts
from tests.support.fake_context import FakeContext
from wire.events import DataLost

pytestmark = pytest.mark.anyio

_RULE = LossRule("data-lost", "critical", 1_000)
_DROPPED = DataLost("broker_dropped", "b:1883", 5_000, 7)


def test_losses_begin_with_what_was_lost_and_where() -> None:
    """People are told how many, of which broker, and where to look."""
    began = losses.began(_RULE, _DROPPED)

    assert (began.holds, began.value, began.metric) == (True, 7.0, "broker_dropped")
    assert "b:1883 has dropped 7 messages" in began.summary
    unknown = losses.began(_RULE, DataLost("session_lost", "b:1883", 5_000))
    assert unknown.value is None
    assert "unknown number" in unknown.summary


def test_losses_end_a_quiet_time_after_the_last() -> None:
    """A further loss prolongs; the end belongs to the same alert as the beginning."""
    first = losses.prolonged(None, _RULE, _DROPPED, seen_at_ms=10_000)
    later = msgspec.structs.replace(_DROPPED, at_ms=6_000)
    second = losses.prolonged(first, _RULE, later, seen_at_ms=10_500)

    assert not losses.is_quiet(_RULE, second, now_ms=11_499)
    assert losses.is_quiet(_RULE, second, now_ms=11_500)
    ended = losses.ended(_RULE, second)
    assert ended.at_ms == 7_000
    assert alert_id_of(ended) == alert_id_of(losses.began(_RULE, _DROPPED)) == second.key


async def test_losses_fire_once_and_end_after_the_quiet_time() -> None:
    """Three losses are one beginning; its end comes when nothing more was lost for a while."""
    ctx, rules = FakeContext(), Rules(losses=(_RULE,))

    for _ in range(3):
        await open_loss_alert_step.handler(_DROPPED, ctx, rules=rules)
    await close_quiet_losses_step.handler(ctx, rules=rules)
    ctx.clock.pass_s(2)
    await close_quiet_losses_step.handler(ctx, rules=rules)
    await close_quiet_losses_step.handler(ctx, rules=rules)

    changed = ctx.take_emitted("alert.condition.changed")
    assert [change.holds for change in changed] == [True, False]
    assert await ctx.state.get_group(losses.GROUP) == []


def test_losses_alert_is_watched_by_its_rule() -> None:
    """CloseOrphanedAlerts leaves it alone while the rule stands in the settings."""
    change = losses.began(_RULE, _DROPPED)
    notice = lifecycle.advance(None, change)

    assert notice is not None
    assert typed_rules(Alerts().rules).still_watch(notice)
    assert not Rules().still_watch(notice)

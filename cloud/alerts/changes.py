"""Changed conditions on their way to TrackAlert: each has its number and leaves with what it says.

An event that failed is tried again later, so an end can be handled before its beginning, which
would then fire an alert that nothing ends. Therefore the changes of one alert are numbered where
they come about, in the transaction that emits them, and what was overtaken is left alone.
What the threshold rules hold to be true is kept in the same transaction: a process that dies in
between has told either both or nothing.
"""

from collections.abc import Sequence

import msgspec

from cloud.alerts.lifecycle import alert_id_of
from cloud.alerts.rules import ThresholdRule
from tidegate.contract import Context, State
from wire.events import ConditionChanged

TOPIC = "alert.condition.changed"
# State groups, all by alert id: the last number given, the last number handled, and the
# beginning of each threshold condition that holds.
_NUMBERS, _HANDLED, _HOLDING = "condition_numbers", "conditions_handled", "threshold_conditions"
# A number has to outlive the memory of its handling, else the next one would look old.
_NUMBER_KEPT_S = 90 * 24 * 3600.0
_HANDLED_KEPT_S = 7 * 24 * 3600.0


async def tell(ctx: Context, change: ConditionChanged) -> ConditionChanged:
    """Emit a change with its number among those of its alert; return it with the number."""
    key = alert_id_of(change)
    number = (await ctx.state.get(_NUMBERS, key) or 0) + 1
    await ctx.state.set(_NUMBERS, key, number, ttl=_NUMBER_KEPT_S)
    numbered = msgspec.structs.replace(change, number=number)
    await ctx.emit(TOPIC, numbered)
    return numbered


async def tell_thresholds(ctx: Context, found: Sequence[ConditionChanged]) -> None:
    """Emit the changes of threshold rules, in order, and keep which conditions hold."""
    for change in found:
        told = await tell(ctx, change)
        key = alert_id_of(change)
        if change.holds:
            await ctx.state.set(_HOLDING, key, msgspec.to_builtins(told))
        else:
            await ctx.state.delete(_HOLDING, key)


async def still_holding(state: State, rules: Sequence[ThresholdRule]) -> list[ConditionChanged]:
    """Return the beginnings of the conditions that hold; forget those that no rule watches.

    Their alerts are ended by CloseOrphanedAlerts.
    """
    rule_of_name = {rule.name: rule for rule in rules}
    watched = []
    for began in msgspec.convert(await state.get_group(_HOLDING), list[ConditionChanged]):
        rule = rule_of_name.get(began.rule)
        if rule is not None and rule.scope.covers(began.tenant, began.device, began.metric):
            watched.append(began)
        else:
            await state.delete(_HOLDING, alert_id_of(began))
    return watched


async def is_overtaken(state: State, change: ConditionChanged) -> bool:
    """Tell whether a later change of the alert, or this one, was handled; else note this one."""
    key = alert_id_of(change)
    if not change.number:
        return False
    if change.number <= (await state.get(_HANDLED, key) or 0):
        return True
    await state.set(_HANDLED, key, change.number, ttl=_HANDLED_KEPT_S)
    return False

"""Signals and faults of simulated devices."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.simulator.faults import KINDS as FAULT_KINDS
from devices.simulator.faults import SLOT_MS, Fault, FaultyDevice, broken
from devices.simulator.signals import KINDS, Device, fleet_names
from wire.ids import metric_name

NOON_MS = 1_700_000_000_000


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_sample_is_a_function_of_seed_device_and_time(kind: str) -> None:
    """Two equal devices agree at any time, in any order; another seed or name does not."""
    times = [NOON_MS + step * 997 for step in range(20)]

    forth = [Device(f"{kind}-1", 7).sample(at_ms) for at_ms in times]
    back = [Device(f"{kind}-1", 7).sample(at_ms) for at_ms in reversed(times)]

    assert forth == back[::-1]
    assert forth[0] != Device(f"{kind}-1", 8).sample(times[0])
    assert forth[0] != Device(f"{kind}-2", 7).sample(times[0])


@pytest.mark.parametrize("name", fleet_names(10))
def test_signals_are_believable(name: str) -> None:
    """Values stay within physics over a day, move, and keep one type."""
    samples = [Device(name, 7).sample(NOON_MS + hour * 3_600_000) for hour in range(24)]

    for metric in samples[0]:
        metric_name(metric)
        values = [sample[metric] for sample in samples]
        assert {type(value) for value in values} == {type(values[0])}
        if isinstance(values[0], float):
            assert len(set(values)) > 10
            low, high = (-10, 50) if metric == "temperature_c" else (0, 12_000)
            assert all(low <= float(value) <= high for value in values)


def test_fleet_mixes_all_kinds() -> None:
    """Names tell the kind, are unique, and a fleet has every kind."""
    names = fleet_names(20)

    assert len(set(names)) == 20
    assert {Device(name, 7).kind for name in names} == set(KINDS)


def test_device_with_any_name_has_a_kind() -> None:
    """A name that tells no kind always gets the same one."""
    assert Device("Wärmepumpe 3", 7).kind == Device("Wärmepumpe 3", 9).kind


@pytest.mark.parametrize("kind", FAULT_KINDS)
def test_fault_changes_what_the_sensor_says(kind: str) -> None:
    """Each kind of fault breaks a value in its own way."""
    fault = Fault("pump-1", "flow", kind, 1000, 3000, 5.0)  # type: ignore[arg-type] # parametrised
    noise = Device("pump-1", 7).noise

    said = broken(fault, 2000, healthy=lambda at_ms: at_ms / 1000, noise=noise)

    expected = {"spike": 7.0, "shift": 7.0, "drift": 4.5, "stuck": 1.0, "dropout": None}
    assert said == expected[kind] if kind != "noise" else said not in (None, 2.0)


@given(st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_truth_lists_exactly_the_samples_that_differ(slot: int) -> None:
    """What a faulty device says differs from a healthy one only while a listed fault holds."""
    healthy = Device("pump-1", 7)
    faulty = FaultyDevice(healthy, 0.7)
    begin_ms = slot * SLOT_MS
    truth = list(faulty.truth(begin_ms, begin_ms + SLOT_MS))

    for at_ms in range(begin_ms, begin_ms + SLOT_MS, 20_000):
        if faulty.sample(at_ms) != healthy.sample(at_ms):
            assert any(fault.holds(at_ms) for fault in truth)
    for fault in truth:
        edges = (fault.from_ms - 1, fault.from_ms, fault.to_ms - 1, fault.to_ms)
        assert [fault.holds(at_ms) for at_ms in edges] == [False, True, True, False]
        assert begin_ms <= fault.from_ms < fault.to_ms <= begin_ms + SLOT_MS
        assert faulty.sample(fault.to_ms - 1) != healthy.sample(fault.to_ms - 1)


def test_no_faults_unless_asked_for() -> None:
    """Probability 0 gives a healthy device, 1 a fault in every slot."""
    device, day_ms = Device("pump-1", 7), 86_400_000

    assert not list(FaultyDevice(device, 0.0).truth(0, day_ms))
    assert len(list(FaultyDevice(device, 1.0).truth(0, day_ms))) == day_ms // SLOT_MS

"""Believable devices: what each kind measures at a moment. Pure.

A signal is a function of (noise of the device, time), so that any moment can be sampled, in any
order. Physics is rough but coupled: more flow takes more power and warms the motor.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from devices.simulator.noise import Noise
from wire.ids import MetricName
from wire.messages import Value

Signals = dict[str, Value]
Signal = Callable[[Noise, float], Signals]

_DAY_S = 86_400.0
_RUNNING_SHARE = 0.4  # of a compressor's cycle
_DOOR_SHARE = 0.7  # of half hours in which the door is opened


@dataclass(frozen=True, slots=True)
class Device:
    """One simulated device: its name, and what it measures.

    The kind is taken from the front of the name (`pump-03` is a pump), else chosen by the name.
    """

    name: str
    seed: int

    @property
    def kind(self) -> str:
        """Return the name of its kind, a key of `KINDS`."""
        front = re.split(r"[-_ \d]", self.name, maxsplit=1)[0].lower()
        return front if front in KINDS else Noise(self.name).at("kind", 0).choice(sorted(KINDS))

    @property
    def noise(self) -> Noise:
        """Return its own randomness."""
        return Noise(f"{self.seed}|{self.name}")

    def sample(self, now_ms: int) -> dict[MetricName, Value]:
        """Return what it measures at a Unix time (ms): the same answer every time."""
        values = KINDS[self.kind](self.noise, now_ms / 1000)
        return {MetricName(name): _rounded(value) for name, value in values.items()}


def fleet_names(count: int) -> list[str]:
    """Return the names of a mixed fleet: pump-01, coldroom-02, solar-03 and so on."""
    kinds = list(KINDS)
    return [f"{kinds[index % len(kinds)]}-{index + 1:02}" for index in range(count)]


def pump(noise: Noise, t_s: float) -> Signals:
    """Measure a pump: flow follows demand over the day, and drives everything else."""
    white = noise.at("white", round(t_s * 1000))
    nominal = noise.between("nominal_flow", 30, 80)
    demand = 0.85 + 0.12 * _day(t_s, noise, peak_h=11) + 0.02 * noise.wander("demand", t_s, 900)
    flow = nominal * demand
    power = 0.08 * nominal * (0.4 + 0.6 * demand**3)
    warmth = 0.02 * noise.wander("warmth", t_s, 3600)
    return {
        "flow_m3_per_h": flow + nominal * white.gauss(0, 0.006),
        "pressure_bar": noise.between("head", 5, 7) - 1.8 * demand**2 + white.gauss(0, 0.02),
        "vibration_mm_per_s": noise.between("wear", 1.2, 2.6)
        * demand
        * math.exp(white.gauss(0, 0.05)),
        "motor_temperature_c": 38 + 26 * demand + 20 * warmth + white.gauss(0, 0.15),
        "power_kw": power * (1 + white.gauss(0, 0.008)),
    }


def cold_room(noise: Noise, t_s: float) -> Signals:
    """Measure a cold room: a compressor saws the temperature, an open door lifts it."""
    white = noise.at("white", round(t_s * 1000))
    period_s = noise.between("cycle", 700, 1300)
    phase = (t_s / period_s + noise.between("phase", 0, 1)) % 1
    cycle = _sawtooth(phase, falling_share=_RUNNING_SHARE)
    opened, warmed = _door(noise, t_s)
    return {
        "temperature_c": noise.between("setpoint", 2, 5)
        + 0.7 * cycle
        + warmed
        + white.gauss(0, 0.08),
        "humidity_pct": 74 + 4 * cycle + 5 * warmed + white.gauss(0, 0.4),
        "compressor_on": phase < _RUNNING_SHARE,
        "door_open": opened,
    }


def solar(noise: Noise, t_s: float) -> Signals:
    """Measure a solar inverter: the day's curve, clouds, and nothing at night."""
    white = noise.at("white", round(t_s * 1000))
    height = max(_day(t_s, noise, peak_h=12.5) + 0.15, 0.0) / 1.15
    clouds = 0.82 + 0.1 * math.tanh(noise.wander("clouds", t_s, 420))
    power = noise.between("peak_power", 4000, 9000) * height**1.3 * clouds
    return {
        "power_w": power * (1 + white.gauss(0, 0.006)) + abs(white.gauss(0, 2)),
        "voltage_v": 231 + 3 * height + 0.8 * noise.wander("grid", t_s, 300) + white.gauss(0, 0.25),
        "heatsink_temperature_c": 18 + 0.004 * power + white.gauss(0, 0.2),
    }


def weather(noise: Noise, t_s: float) -> Signals:
    """Measure a weather mast: temperature over the day, gusts, slow pressure."""
    white = noise.at("white", round(t_s * 1000))
    temperature = noise.between("climate", 8, 16) + 5 * _day(t_s, noise, peak_h=15)
    wind = 4.0 * math.exp(
        0.35 * noise.wander("wind", t_s, 1800) + 0.15 * noise.wander("gust", t_s, 25)
    )
    return {
        "temperature_c": temperature + noise.wander("air", t_s, 5400) + white.gauss(0, 0.06),
        "humidity_pct": 66 - 14 * _day(t_s, noise, peak_h=15) + white.gauss(0, 0.5),
        "air_pressure_hpa": 1014 + 5 * noise.wander("pressure", t_s, 43_200) + white.gauss(0, 0.05),
        "wind_speed_m_per_s": wind * math.exp(white.gauss(0, 0.08)),
    }


def rack(noise: Noise, t_s: float) -> Signals:
    """Measure a server rack: load over the working day heats the air and spins the fans."""
    white = noise.at("white", round(t_s * 1000))
    load = 0.45 + 0.18 * _day(t_s, noise, peak_h=14) + 0.05 * noise.wander("load", t_s, 600)
    inlet = noise.between("inlet", 20, 24) + 0.3 * noise.wander("air", t_s, 2400)
    return {
        "inlet_temperature_c": inlet + white.gauss(0, 0.08),
        "outlet_temperature_c": inlet + 6 + 14 * load + white.gauss(0, 0.15),
        "fan_speed_rpm": 2400 + 3600 * load + white.gauss(0, 25),
        "power_kw": noise.between("size", 3, 8) * (0.4 + 0.6 * load) * (1 + white.gauss(0, 0.01)),
    }


KINDS: dict[str, Signal] = {
    "pump": pump,
    "coldroom": cold_room,
    "solar": solar,
    "weather": weather,
    "rack": rack,
}


def _day(t_s: float, noise: Noise, *, peak_h: float) -> float:
    """Return the daily season, -1..1, highest near `peak_h` (UTC, the device's own hour off)."""
    peak_s = (peak_h + noise.between("hour_off", -1.0, 1.0)) * 3600
    return math.cos(2 * math.pi * (t_s - peak_s) / _DAY_S)


def _sawtooth(phase: float, *, falling_share: float) -> float:
    """Return 1..-1 falling, then back up, for a phase of 0..1."""
    if phase < falling_share:
        return 1 - 2 * phase / falling_share
    return -1 + 2 * (phase - falling_share) / (1 - falling_share)


def _door(noise: Noise, t_s: float) -> tuple[bool, float]:
    """Return whether the door is open, and the warmth (°C) it let in: once in most half hours."""
    slot, slot_s = math.floor(t_s / 1800), t_s % 1800
    drawn = noise.at("door", slot)
    opened_s, for_s = drawn.uniform(60, 600), drawn.uniform(20, 90)
    if drawn.random() > _DOOR_SHARE or slot_s < opened_s:
        return False, 0.0
    since_s = slot_s - opened_s
    if since_s < for_s:
        return True, 0.8 * since_s / 90
    return False, 0.8 * for_s / 90 * math.exp(-(since_s - for_s) / 240)


def _rounded(value: Value) -> Value:
    """Round to what a real sensor would tell."""
    return round(value, 3) if isinstance(value, float) else value

"""Units of measurement by the suffix of a metric's name, for pages and reports."""

_UNIT_BY_SUFFIX = {
    "_c": "°C",
    "_pct": "%",
    "_bytes": "B",
    "_kb": "kB",
    "_bytes_per_s": "B/s",
    "_s": "s",
    "_m_per_s": "m/s",
    "_ms": "ms",
    "_v": "V",
    "_a": "A",
    "_w": "W",
    "_kw": "kW",
    "_va": "VA",
    "_var": "var",
    "_hz": "Hz",
    "_bar": "bar",
    "_pa": "Pa",
    "_hpa": "hPa",
    "_wh": "Wh",
    "_kwh": "kWh",
    "_ppm": "ppm",
    "_lux": "lx",
    "_dbm": "dBm",
    "_m3_per_h": "m³/h",
    "_l_per_min": "l/min",
    "_rpm": "rpm",
    "_mm_per_s": "mm/s",
}
_LONGEST_FIRST = sorted(_UNIT_BY_SUFFIX, key=len, reverse=True)


def unit_of(metric: str) -> str:
    """Return the unit that a metric's name ends with (`outlet_temperature_c` → `°C`), or ''."""
    return next(
        (_UNIT_BY_SUFFIX[suffix] for suffix in _LONGEST_FIRST if metric.endswith(suffix)), ""
    )

"""Telemetry in InfluxDB 1.6 to 3: through line protocol and InfluxQL."""

"""Telemetry in VictoriaMetrics: through its import, export and PromQL."""

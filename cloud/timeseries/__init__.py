"""Where telemetry is kept: the port and its adapters."""

"""Look into a running step engine: its steps, dead letters and state, by api steps."""

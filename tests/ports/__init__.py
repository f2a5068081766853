"""One suite for each port, run against all of its adapters."""

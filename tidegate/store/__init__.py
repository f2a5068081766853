"""Where state and events are kept: the port and its adapters."""

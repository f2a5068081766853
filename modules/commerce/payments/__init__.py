"""Taking money: the port, and its adapters."""

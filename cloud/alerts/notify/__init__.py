"""How notices reach people: the port and its adapters."""

"""Steps of the alert service; discovered by path."""

"""Steps of the gaming module; discovered by path."""

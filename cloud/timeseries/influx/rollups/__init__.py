"""Rollups in InfluxDB 1: of five minutes and an hour, made by the server, exact also when late."""

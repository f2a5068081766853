"""What InfluxDB and VictoriaMetrics have in common: found by HTTP, written to in lines."""

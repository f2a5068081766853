"""JSON of any device, by files that say what of it is a metric."""

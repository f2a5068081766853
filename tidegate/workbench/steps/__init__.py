"""Api steps that look into a running engine."""

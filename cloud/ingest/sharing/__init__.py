"""Several ingesters that share the work: what they tell each other."""

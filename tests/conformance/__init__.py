"""The points of conformance of the step contract, on every store."""

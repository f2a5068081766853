"""What tests on real servers may ask for, beside what every test may."""

from tests.support.broker_pair import either_broker, ruling_broker

# Fixtures are found by their names in this file.
__all__ = ["either_broker", "ruling_broker"]

"""What ingestion tells Prometheus."""

from dataclasses import dataclass

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from cloud.ingest.accounts import Tally


@dataclass(frozen=True, slots=True)
class Metrics:
    """Counters of readings by fate, and the pipeline's gauges."""

    readings: Counter
    messages: Counter
    in_flight: Gauge
    batch_seconds: Histogram
    store_retries: Counter
    session_lost: Counter
    reconnects: Counter
    letters: Counter
    refused_busy: Counter

    def count(self, tally: Tally) -> None:
        """Count what became of one device's readings in a batch."""
        self.readings.labels("stored").inc(tally.stored)
        self.readings.labels("duplicate").inc(tally.duplicate)
        self.readings.labels("filtered").inc(tally.filtered)
        # A replay takes readings off the dead; a counter cannot go down.
        self.readings.labels("dead").inc(max(tally.dead, 0))


def metrics(registry: CollectorRegistry = REGISTRY) -> Metrics:
    """Register ingestion's metrics; once a registry."""
    name = "tidegate_ingest"
    return Metrics(
        Counter(f"{name}_readings", "Readings by their fate", ["fate"], registry=registry),
        Counter(f"{name}_messages", "Messages whose fate is durable", registry=registry),
        Gauge(
            f"{name}_in_flight_messages",
            "Messages received whose fate is not durable yet",
            registry=registry,
        ),
        Histogram(
            f"{name}_batch_seconds",
            "From the hand-over of a batch until it is stored and accounted for",
            registry=registry,
        ),
        Counter(f"{name}_store_retries", "Writes repeated: store away", registry=registry),
        Counter(f"{name}_session_lost", "Times the broker forgot us", registry=registry),
        Counter(f"{name}_reconnects", "Connections made after the first", registry=registry),
        Counter(f"{name}_dead_letters", "Dead letters written", registry=registry),
        Counter(f"{name}_refused_busy", "HTTP messages answered 503", registry=registry),
    )

"""What ingestion tells Prometheus."""

from dataclasses import dataclass

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from cloud.ingest.accounts import Entry
from cloud.ingest.batch import Batch
from cloud.ingest.spool.spool import Spool


@dataclass(frozen=True, slots=True)
class Metrics:
    """Counters of readings by fate, and the pipeline's gauges."""

    readings: Counter
    messages: Counter
    in_flight: Gauge
    batch_seconds: Histogram
    store_retries: Counter
    session_lost: Counter
    taken_over: Counter
    reconnects: Counter
    publishes_dropped: Counter
    letters: Counter
    foreign: Counter
    refused_busy: Counter
    series_refused: Counter
    refused_rate: Counter
    repeats: Counter
    sparkplug_lost: Counter
    rebirths: Counter
    spool_bytes: Gauge
    spool_records: Gauge
    spool_readings: Gauge
    spool_oldest_s: Gauge
    spool_corrupt: Gauge
    spool_refused: Counter
    spool_lost: Counter

    def watch(self, spool: Spool) -> None:
        """Show how the spool is filled, from now on."""
        self.spool_bytes.set_function(lambda: spool.size_bytes)
        self.spool_records.set_function(lambda: spool.records)
        self.spool_readings.set_function(lambda: spool.readings)
        self.spool_oldest_s.set_function(lambda: spool.oldest_s)
        self.spool_corrupt.set_function(lambda: spool.corrupt_files)

    def count_drained(self, entry: Entry) -> None:
        """Count what became of readings that were in the spool."""
        tallies = entry.tallies.values()
        self.readings.labels("stored").inc(sum(tally.stored for tally in tallies))
        self.readings.labels("dead").inc(sum(tally.dead for tally in tallies))
        self.letters.inc(len(entry.letters))

    def count(self, batch: Batch, *, held: int) -> None:
        """Count what became of a batch; `held` messages wait for their fate behind it."""
        entry = batch.entry
        tallies = entry.tallies.values()
        self.readings.labels("stored").inc(sum(tally.stored for tally in tallies))
        self.readings.labels("duplicate").inc(sum(tally.duplicate for tally in tallies))
        self.readings.labels("filtered").inc(sum(tally.filtered for tally in tallies))
        # A replay takes readings off the dead; a counter cannot go down.
        self.readings.labels("dead").inc(sum(max(tally.dead, 0) for tally in tallies))
        self.letters.inc(len(entry.letters))
        self.foreign.inc(batch.foreign)
        self.series_refused.inc(batch.series_refused)
        self.messages.inc(len(batch.ends))
        self.in_flight.set(held)


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
        Counter(
            f"{name}_session_taken_over",
            "Times another client took our session",
            registry=registry,
        ),
        Counter(f"{name}_reconnects", "Connections made after the first", registry=registry),
        Counter(
            f"{name}_acks_dropped",
            "Acknowledgements to devices dropped: too many waited",
            registry=registry,
        ),
        Counter(f"{name}_dead_letters", "Dead letters written", registry=registry),
        Counter(f"{name}_foreign_messages", "Messages on nobody's topic", registry=registry),
        Counter(f"{name}_refused_busy", "HTTP messages answered 503", registry=registry),
        Counter(
            f"{name}_series_refused",
            "Readings refused because they would begin a series too many",
            registry=registry,
        ),
        Counter(f"{name}_refused_rate", "HTTP requests answered 429", ["by"], registry=registry),
        Counter(f"{name}_repeats", "HTTP messages answered as before", registry=registry),
        Counter(
            f"{name}_sparkplug_lost",
            "Sparkplug messages that never came, as their sequence numbers show",
            registry=registry,
        ),
        Counter(f"{name}_rebirths", "Sparkplug nodes asked for their births", registry=registry),
        Gauge(f"{name}_spool_bytes", "Size of the spool's files", registry=registry),
        Gauge(f"{name}_spool_records", "Batches in the spool", registry=registry),
        Gauge(f"{name}_spool_readings", "Readings in the spool", registry=registry),
        Gauge(
            f"{name}_spool_oldest_age_seconds",
            "How long the batch at the spool's front waits; 0 while it is empty",
            registry=registry,
        ),
        Gauge(
            f"{name}_spool_corrupt_files",
            "Files of the spool found damaged since the start",
            registry=registry,
        ),
        Counter(f"{name}_spool_refused", "Batches that found the spool full", registry=registry),
        Counter(
            f"{name}_spool_lost_readings",
            "Acknowledged readings lost with a damaged file: dead now",
            registry=registry,
        ),
    )

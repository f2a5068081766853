"""What ingestion tells Prometheus."""

from dataclasses import dataclass

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from cloud.ingest.batch import Batch
from cloud.ingest.ledger.accounts import Entry
from cloud.ingest.spool.spool import Spool

_PREFIX = "tidegate_ingest"


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
    news_dropped: Counter
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

    def counter(name: str, what: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}_{name}", what, labels, registry=registry)

    def gauge(name: str, what: str) -> Gauge:
        return Gauge(f"{_PREFIX}_{name}", what, registry=registry)

    return Metrics(
        readings=counter("readings", "Readings by their fate", "fate"),
        messages=counter("messages", "Messages whose fate is durable"),
        in_flight=gauge("in_flight_messages", "Messages whose fate is not durable yet"),
        batch_seconds=Histogram(
            f"{_PREFIX}_batch_seconds",
            "From the hand-over of a batch until it is stored and accounted for",
            registry=registry,
        ),
        store_retries=counter("store_retries", "Writes repeated: store away"),
        session_lost=counter("session_lost", "Times the broker forgot us"),
        taken_over=counter("session_taken_over", "Times another client took our session"),
        reconnects=counter("reconnects", "Connections made after the first"),
        publishes_dropped=counter("acks_dropped", "Acknowledgements dropped: too many waited"),
        news_dropped=counter("session_news_dropped", "News of our session let go: too many waited"),
        letters=counter("dead_letters", "Dead letters written"),
        foreign=counter("foreign_messages", "Messages on nobody's topic"),
        refused_busy=counter("refused_busy", "HTTP messages answered 503"),
        series_refused=counter(
            "series_refused",
            "Readings that would begin a series too many: raise ingest.limits.max_series_per_tenant"
            " or max_series_per_device",
        ),
        refused_rate=counter("refused_rate", "HTTP requests answered 429", "by"),
        repeats=counter("repeats", "HTTP messages answered as before"),
        sparkplug_lost=counter("sparkplug_lost", "Sparkplug messages that never came"),
        rebirths=counter("rebirths", "Sparkplug nodes asked for their births"),
        spool_bytes=gauge("spool_bytes", "Size of the spool's files"),
        spool_records=gauge("spool_records", "Batches in the spool"),
        spool_readings=gauge("spool_readings", "Readings in the spool"),
        spool_oldest_s=gauge("spool_oldest_age_seconds", "How long the spool's front waits"),
        spool_corrupt=gauge("spool_corrupt_files", "Files of the spool found damaged"),
        spool_refused=counter("spool_refused", "Batches that found the spool full"),
        spool_lost=counter("spool_lost_readings", "Acknowledged readings lost in damaged files"),
    )

"""The ledger on `/metrics`: every number of one answer is from the same moment, so it adds up."""

from collections.abc import Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cloud.ingest.ledger.ledger import Ledger

_FATES = ("received", "stored", "duplicate", "dead", "filtered", "in_flight")


class LedgerMetrics(Collector):
    """Reads the ledger's totals, which are kept over restarts.

    received = stored + duplicate + dead + filtered + in_flight.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def collect(self) -> Iterator[Metric]:
        """Yield the readings by fate, those that did not come, and the letters that had to go."""
        totals = self._ledger.totals()
        fates = GaugeMetricFamily(
            "tidegate_ledger_readings",
            "Readings by fate: received is the sum of the others",
            labels=["fate"],
        )
        for fate in _FATES:
            fates.add_metric([fate], getattr(totals, fate))
        yield fates
        gaps = GaugeMetricFamily(
            "tidegate_ledger_gap_readings",
            "Readings that did not come: missing ones may still, declared ones are lost",
            labels=["kind"],
        )
        gaps.add_metric(["missing"], totals.missing)
        gaps.add_metric(["declared"], totals.declared)
        yield gaps
        yield CounterMetricFamily(
            "tidegate_ledger_late_readings", "Readings taken that came late", value=totals.late
        )
        yield CounterMetricFamily(
            "tidegate_ledger_letters_dropped",
            "Dead letters that made room for newer ones",
            value=self._ledger.letters_dropped,
        )

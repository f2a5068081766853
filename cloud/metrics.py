"""What the services count for themselves, shown on `/metrics` at the moment it is asked for."""

from collections.abc import Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cloud.alerts.evaluator import Evaluator
from cloud.analytics.watcher import Watcher
from cloud.dashboard.live import LiveHub


class ServiceMetrics(Collector):
    """Reads the counts of the detectors, the threshold rules and the live pages."""

    def __init__(self, watcher: Watcher, evaluator: Evaluator, live: LiveHub) -> None:
        self._watcher, self._evaluator, self._live = watcher, evaluator, live

    def collect(self) -> Iterator[Metric]:
        """Yield every count, named `tidegate_{service}_{what}`."""
        for name, (text, value) in self._counters().items():
            yield CounterMetricFamily(f"tidegate_{name}", text, value=value)
        for name, (text, value) in self._gauges().items():
            yield GaugeMetricFamily(f"tidegate_{name}", text, value=value)

    def _counters(self) -> dict[str, tuple[str, float]]:
        scored = self._watcher.counts
        rules = self._evaluator
        return {
            "analytics_points_scored": ("Points that a detector scored", scored.scored),
            "analytics_anomalies": ("Points above the threshold", scored.anomalies),
            "analytics_points_out_of_order": ("Points not scored: too old", scored.out_of_order),
            "analytics_points_beyond_max_series": (
                "Points not scored: too many series",
                scored.beyond_max_series,
            ),
            "analytics_series_forgotten": ("Series forgotten for newer ones", scored.forgotten),
            "analytics_batches_dropped": (
                "Batches dropped: queue full",
                self._watcher.tap.dropped_batches,
            ),
            "analytics_events_lost": ("Anomalies not emitted", self._watcher.lost_events),
            "alerts_points_evaluated": ("Points held against rules", rules.evaluated_points),
            "alerts_changes_emitted": ("Conditions begun or ended", rules.emitted_changes),
            "alerts_batches_dropped": ("Batches dropped: queue full", rules.tap.dropped_batches),
            "pages_updates_dropped": ("Live updates dropped: limits", self._live.dropped),
        }

    def _gauges(self) -> dict[str, tuple[str, float]]:
        return {
            "analytics_series": ("Series that detectors watch", self._watcher.counts.series),
            "analytics_waiting_batches": (
                "Batches that wait for the detectors",
                self._watcher.tap.waiting_batches,
            ),
            "alerts_waiting_batches": (
                "Batches that wait for the rules",
                self._evaluator.tap.waiting_batches,
            ),
            "pages_clients": ("Open live streams", self._live.clients),
        }

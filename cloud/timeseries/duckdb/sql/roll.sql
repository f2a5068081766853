-- One row for each bucket that has numbers. {points}: which of them.
INSERT INTO rollups_5m
SELECT
    points.series_id,
    {start} AS start_ms,
    count(*),
    sum(value),
    min(value),
    max(value),
    arg_min(value, ROW(points.ts_ms, points.ord)),
    min(points.ts_ms),
    arg_max(value, ROW(points.ts_ms, points.ord)),
    max(points.ts_ms)
FROM {points}
WHERE points.ts_ms >= $from_ms AND points.ts_ms < $to_ms
GROUP BY ALL
ORDER BY start_ms, points.series_id

-- Late points of buckets whose other points have been dropped: what the buckets become. A point
-- between a bucket's first and last may be one that the bucket has counted already: it is left out.
WITH fresh AS (
    SELECT points.series_id, {start} AS start_ms, points.ts_ms, points.ord, points.value
    FROM points
    WHERE points.ts_ms >= $from_ms AND points.ts_ms < $to_ms
        AND points.series_id NOT IN (SELECT series_id FROM gone)
),
parts AS (
    SELECT
        fresh.series_id, fresh.start_ms, 1 AS count, value AS sum, value AS min, value AS max,
        value AS first, ts_ms AS first_ms, value AS last, ts_ms AS last_ms, ord
    FROM fresh LEFT JOIN rollups_5m USING (series_id, start_ms)
    WHERE rollups_5m.count IS NULL
        OR fresh.ts_ms < rollups_5m.first_ms OR fresh.ts_ms > rollups_5m.last_ms
    UNION ALL
    SELECT *, 0 AS ord FROM rollups_5m
    WHERE start_ms >= $from_ms AND start_ms < $to_ms
        AND (series_id, start_ms) IN (SELECT (series_id, start_ms) FROM fresh)
)
SELECT
    series_id,
    start_ms,
    CAST(sum(count) AS BIGINT) AS count,
    sum(sum) AS sum,
    min(min) AS min,
    max(max) AS max,
    arg_min(first, ROW(first_ms, ord)) AS first,
    min(first_ms) AS first_ms,
    arg_max(last, ROW(last_ms, ord)) AS last,
    max(last_ms) AS last_ms
FROM parts
GROUP BY series_id, start_ms

-- {rollups}: the table whose buckets ({bucket} of a time) serve in [$first_ms, $end_ms); points
-- before and after them, and of the buckets in `redo`, whose points have changed since.
WITH parts AS (
    SELECT place, start_ms, count, sum, min, max, last, last_ms, 0 AS ord
    FROM {rollups} JOIN wanted USING (series_id)
    WHERE start_ms >= $first_ms AND start_ms < $end_ms
        AND NOT EXISTS (
            FROM redo
            WHERE redo.series_id = {rollups}.series_id AND redo.start_ms = {rollups}.start_ms
        )
    UNION ALL
    SELECT place, ts_ms, 1, value, value, value, value, ts_ms, ord
    FROM points JOIN wanted USING (series_id)
    WHERE ts_ms >= $from_ms AND ts_ms < $first_ms
    UNION ALL
    SELECT place, ts_ms, 1, value, value, value, value, ts_ms, ord
    FROM points JOIN wanted USING (series_id)
    WHERE ts_ms >= $end_ms AND ts_ms < $to_ms
    UNION ALL
    SELECT place, ts_ms, 1, value, value, value, value, ts_ms, ord
    FROM points JOIN redo ON redo.series_id = points.series_id AND redo.start_ms = {bucket}
    WHERE ts_ms >= $redo_ms AND ts_ms < $redone_ms
)
SELECT place, {step} AS ts_ms, 0 AS ord, CAST({aggregate} AS DOUBLE) AS value
FROM parts
GROUP BY 1, 2
ORDER BY place, ts_ms
LIMIT $most

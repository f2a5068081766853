-- {rollups}: the table whose buckets serve in [$first_ms, $end_ms).
SELECT place, start_ms, count, sum, min, max, last, last_ms, 0 AS ord
FROM {rollups} JOIN wanted USING (series_id)
WHERE start_ms >= $first_ms AND start_ms < $end_ms

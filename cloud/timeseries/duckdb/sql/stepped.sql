SELECT
    wanted.place,
    {step} AS ts_ms,
    CAST({aggregate} AS DOUBLE) AS value
FROM points JOIN wanted USING (series_id)
WHERE points.ts_ms >= $from_ms AND points.ts_ms < $to_ms
GROUP BY 1, 2
ORDER BY wanted.place, ts_ms
LIMIT $most

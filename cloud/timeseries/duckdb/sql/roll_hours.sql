-- {rollups}: which buckets of five minutes.
INSERT INTO rollups_1h
SELECT
    rollups_5m.series_id,
    {start} AS hour_ms,
    sum(count),
    sum(sum),
    min(min),
    max(max),
    arg_min(first, first_ms),
    min(first_ms),
    arg_max(last, last_ms),
    max(last_ms)
FROM {rollups}
WHERE rollups_5m.start_ms >= $from_ms AND rollups_5m.start_ms < $to_ms
GROUP BY ALL
ORDER BY hour_ms, rollups_5m.series_id

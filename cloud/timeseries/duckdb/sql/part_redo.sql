-- Points of the buckets in `redo`; {bucket}: the start of a time's bucket.
SELECT place, ts_ms, 1, value, value, value, value, ts_ms, ord
FROM points JOIN redo ON redo.series_id = points.series_id AND redo.start_ms = {bucket}
WHERE ts_ms >= $redo_ms AND ts_ms < $redone_ms

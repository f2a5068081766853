-- Points outside of what the buckets serve.
SELECT place, ts_ms, 1, value, value, value, value, ts_ms, ord
FROM points JOIN wanted USING (series_id)
WHERE ts_ms >= {from_ms} AND ts_ms < {to_ms}

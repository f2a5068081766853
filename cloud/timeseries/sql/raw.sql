-- {table} and {value}: points and value, or states and state. `wanted` holds the ids in order.
SELECT wanted.place, ts_ms, {value} AS value
FROM {table} JOIN wanted USING (series_id)
WHERE ts_ms >= $from_ms AND ts_ms < $to_ms
ORDER BY wanted.place, ts_ms
LIMIT $most

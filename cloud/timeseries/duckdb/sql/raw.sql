-- {table} and {value}: points and value, or states and state. `wanted` holds the ids in order.
-- Of the place $at_place only what comes from ($at_ms, $at_ord) on; -1 is no place.
SELECT wanted.place, ts_ms, ord, {value} AS value
FROM {table} JOIN wanted USING (series_id)
WHERE ts_ms >= $from_ms AND ts_ms < $to_ms
    AND (wanted.place > $at_place OR ts_ms > $at_ms OR (ts_ms = $at_ms AND ord >= $at_ord))
ORDER BY wanted.place, ts_ms, ord
LIMIT $most

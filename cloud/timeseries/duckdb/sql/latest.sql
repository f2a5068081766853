-- Two passes over the tables, but never all of their rows in memory.
WITH stored AS NOT MATERIALIZED (
    SELECT series_id, ts_ms, ord, value, NULL AS state FROM points
    UNION ALL
    SELECT series_id, ts_ms, ord, NULL AS value, state FROM states
),
newest AS (
    SELECT series_id, max(ts_ms) AS ts_ms FROM stored
    WHERE series_id NOT IN (SELECT series_id FROM gone)
    GROUP BY series_id
)
SELECT series_id, ts_ms, ord, value, state
FROM stored JOIN newest USING (series_id, ts_ms)
QUALIFY row_number() OVER (PARTITION BY series_id ORDER BY ord DESC) = 1

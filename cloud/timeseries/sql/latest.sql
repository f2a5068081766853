SELECT
    series_id,
    max(ts_ms) AS ts_ms,
    arg_max(value, ts_ms) AS value,
    arg_max(state, ts_ms) AS state
FROM (
    SELECT series_id, ts_ms, value, NULL AS state FROM points
    UNION ALL
    SELECT series_id, ts_ms, NULL AS value, state FROM states
)
GROUP BY series_id

-- Of the files part_*.sql: those rows that together cover the time that is asked for once.
SELECT place, {step} AS ts_ms, CAST({aggregate} AS DOUBLE) AS value
FROM ({parts})
GROUP BY 1, 2
ORDER BY place, ts_ms
LIMIT $most

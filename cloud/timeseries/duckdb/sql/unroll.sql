-- {table}: rollups_5m or rollups_1h. The bounds let the engine skip all row groups of other times.
DELETE FROM {table} USING chosen
WHERE {table}.series_id = chosen.series_id
    AND {table}.start_ms = chosen.start_ms
    AND {table}.start_ms >= $from_ms AND {table}.start_ms < $to_ms

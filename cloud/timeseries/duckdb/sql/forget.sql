-- The bounds let the engine skip all row groups of other times.
DELETE FROM {table} USING late
WHERE {table}.series_id = late.series_id
    AND {table}.ts_ms = late.ts_ms
    AND {table}.ord = late.ord
    AND {table}.ts_ms BETWEEN $first_ms AND $last_ms

    -- Buckets in `redo` have points that have changed since.
    AND NOT EXISTS (
        FROM redo
        WHERE redo.series_id = {rollups}.series_id AND redo.start_ms = {rollups}.start_ms
    )

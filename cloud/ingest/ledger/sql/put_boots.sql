-- :rows is JSON [[[tenant, device], boot, spans, declared_first, forgotten, heard_at_ms, closed,
-- newest_ms, [missing, declared]], ...]
INSERT INTO boots (
    tenant, device, boot, spans, declared_first, forgotten, heard_at_ms, closed, newest_ms,
    missing, declared
)
SELECT
    value ->> '$[0][0]', value ->> '$[0][1]', value ->> 1, value -> 2, value ->> 3, value ->> 4,
    value ->> 5, value ->> 6, value ->> 7, value ->> '$[8][0]', value ->> '$[8][1]'
FROM json_each(:rows)
WHERE true
ON CONFLICT (tenant, device, boot) DO UPDATE SET
    spans = excluded.spans,
    declared_first = excluded.declared_first,
    forgotten = excluded.forgotten,
    heard_at_ms = excluded.heard_at_ms,
    closed = excluded.closed,
    newest_ms = excluded.newest_ms,
    missing = excluded.missing,
    declared = excluded.declared

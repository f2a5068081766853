-- :rows is JSON [[tenant, device, boot, spans, declared_first, forgotten, heard_at_ms], ...]
INSERT INTO boots (tenant, device, boot, spans, declared_first, forgotten, heard_at_ms)
SELECT
    value ->> 0, value ->> 1, value ->> 2, value -> 3, value ->> 4, value ->> 5, value ->> 6
FROM json_each(:rows)
WHERE true
ON CONFLICT (tenant, device, boot) DO UPDATE SET
    spans = excluded.spans,
    declared_first = excluded.declared_first,
    forgotten = excluded.forgotten,
    heard_at_ms = excluded.heard_at_ms

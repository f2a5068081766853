-- :rows is JSON [[tenant, device, stored, duplicate, dead, filtered, heard_at_ms, spooled, late,
-- newest_ms, skew_ms, gap], ...]: one statement for a whole batch, because every single one would
-- fight for the interpreter's lock.
INSERT INTO devices (
    tenant, device, stored, duplicate, dead, filtered, heard_at_ms, spooled, late, newest_ms,
    skew_ms, last_gap
)
SELECT
    value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
    value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11
FROM json_each(:rows)
WHERE true
ON CONFLICT (tenant, device) DO UPDATE SET
    stored = stored + excluded.stored,
    duplicate = duplicate + excluded.duplicate,
    dead = dead + excluded.dead,
    filtered = filtered + excluded.filtered,
    heard_at_ms = max(heard_at_ms, excluded.heard_at_ms),
    spooled = spooled + excluded.spooled,
    late = late + excluded.late,
    newest_ms = max(newest_ms, excluded.newest_ms),
    skew_ms = coalesce(excluded.skew_ms, skew_ms),
    last_gap = coalesce(excluded.last_gap, last_gap)

-- :rows is JSON [[tenant, device, slot, number, mark], ...]: each takes its forgotten one's place.
INSERT INTO moments (tenant, device, slot, number, mark)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4
FROM json_each(:rows)
WHERE true
ON CONFLICT (tenant, device, slot) DO UPDATE SET
    number = excluded.number,
    mark = excluded.mark

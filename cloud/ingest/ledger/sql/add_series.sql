-- :rows is JSON [[tenant, device, metric], ...]
INSERT OR IGNORE INTO series (tenant, device, metric)
SELECT value ->> 0, value ->> 1, value ->> 2
FROM json_each(:rows)

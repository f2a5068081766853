-- Forgets all but a device's `keep` newest outcomes.
DELETE FROM outcomes
WHERE tenant = :tenant AND device = :device AND at_ms < (
    SELECT at_ms FROM outcomes
    WHERE tenant = :tenant AND device = :device
    ORDER BY at_ms DESC LIMIT 1 OFFSET :keep - 1
)

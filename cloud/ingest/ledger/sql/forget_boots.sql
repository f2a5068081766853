-- Of one device only the boots heard last are kept.
DELETE FROM boots
WHERE tenant = :tenant AND device = :device AND boot IN (
    SELECT boot FROM boots
    WHERE tenant = :tenant AND device = :device
    ORDER BY heard_at_ms DESC, boot
    LIMIT -1 OFFSET :keep
)
RETURNING missing, declared

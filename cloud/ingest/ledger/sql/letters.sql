SELECT
    id, tenant, device, topic, reason, payload, readings, only, received_at_ms, is_shortened,
    content_type
FROM dead_letters
WHERE id < :before
    AND (:tenant IS NULL OR tenant = :tenant)
    AND (:device IS NULL OR device = :device)
    AND (:reason IS NULL OR instr(lower(reason), lower(:reason)) > 0)
ORDER BY id DESC
LIMIT :limit

-- The letters of which something can be taken at all, without their payloads.
SELECT id
FROM dead_letters
WHERE id < :before
    AND readings > 0
    AND NOT is_shortened
    AND (:tenant IS NULL OR tenant = :tenant)
    AND (:device IS NULL OR device = :device)
    AND (:reason IS NULL OR instr(lower(reason), lower(:reason)) > 0)
ORDER BY id DESC
LIMIT :limit

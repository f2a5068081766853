-- name: read
SELECT data, version, expires_at FROM tidegate.state WHERE group_name = $1 AND key = $2;

-- name: read_group
SELECT key, data, version, expires_at FROM tidegate.state WHERE group_name = $1 ORDER BY key;

-- name: read_pattern
SELECT key, data, version, expires_at FROM tidegate.state
WHERE group_name = $1 AND key ~ $2 ORDER BY key;

-- name: commit
SELECT tidegate.commit(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
    $22
);

-- name: claim
UPDATE tidegate.delivery SET due_at = $1, attempt = attempt + 1
WHERE id = ANY (ARRAY(
    SELECT id FROM tidegate.delivery WHERE step = $2 AND due_at <= $3
    ORDER BY due_at, id LIMIT $4 FOR UPDATE SKIP LOCKED
))
RETURNING id, step, topic, payload, attempt, trace_id;

-- name: journals
SELECT delivery_id, name, result FROM tidegate.journal WHERE delivery_id = ANY ($1::bigint[]);

-- name: record
INSERT INTO tidegate.journal (delivery_id, name, result)
SELECT id, $1, $2 FROM tidegate.delivery WHERE id = $3 AND attempt = $4 FOR UPDATE
ON CONFLICT (delivery_id, name) DO UPDATE SET result = excluded.result;

-- name: next_due
SELECT min(due_at) FROM tidegate.delivery WHERE step = ANY ($1::text[]);

-- name: retry
UPDATE tidegate.delivery SET due_at = $1 WHERE id = $2 AND attempt = $3;

-- name: bury
WITH gone AS (
    DELETE FROM tidegate.delivery WHERE id = $1 AND attempt = $2
    RETURNING id, step, topic, payload, attempt, trace_id
), forgotten AS (
    DELETE FROM tidegate.journal WHERE delivery_id IN (SELECT id FROM gone)
)
INSERT INTO tidegate.dead (step, topic, payload, error, stack, attempts, died_at, trace_id)
SELECT step, topic, payload, $3, $4, attempt, $5, trace_id FROM gone;

-- name: trim_dead
DELETE FROM tidegate.dead WHERE id <= (SELECT max(id) FROM tidegate.dead) - $1::bigint;

-- name: dead
SELECT id, step, topic, payload, error, stack, attempts, died_at FROM tidegate.dead
WHERE id > $1 ORDER BY id LIMIT $2;

-- name: redrive
WITH raised AS (
    DELETE FROM tidegate.dead WHERE id = $2 RETURNING step, topic, payload, trace_id
)
INSERT INTO tidegate.delivery (step, topic, payload, due_at, trace_id)
SELECT step, topic, payload, $1, trace_id FROM raised;

-- name: purge_lapsed
DELETE FROM tidegate.state WHERE (group_name, key) IN (
    -- A commit that writes one of them goes first: waiting for it could be a deadlock.
    SELECT group_name, key FROM tidegate.state WHERE expires_at <= $1
    LIMIT $2 FOR UPDATE SKIP LOCKED
);

-- name: forget_emitted
DELETE FROM tidegate.emitted WHERE (topic, id, step) IN (
    SELECT topic, id, step FROM tidegate.emitted WHERE at <= $1
    LIMIT $2 FOR UPDATE SKIP LOCKED
);

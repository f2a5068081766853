-- name: read
SELECT data, version, expires_at FROM state WHERE group_name = ? AND key = ?;

-- name: read_group
SELECT key, data, version, expires_at FROM state WHERE group_name = ? ORDER BY key;

-- name: read_pattern
SELECT key, data, version, expires_at FROM state
WHERE group_name = ? AND key GLOB ? ORDER BY key;

-- name: tick
UPDATE clock SET version = version + 1 RETURNING version;

-- name: write
INSERT INTO state (group_name, key, data, version, expires_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (group_name, key) DO UPDATE SET
    data = excluded.data, version = excluded.version, expires_at = excluded.expires_at;

-- name: delete
DELETE FROM state WHERE group_name = ? AND key = ?;

-- name: deliver
INSERT INTO delivery (step, topic, payload, due_at, trace_id) VALUES (?, ?, ?, ?, ?);

-- name: remember_emitted
INSERT OR IGNORE INTO emitted (topic, id, step, at) VALUES (?, ?, ?, ?);

-- name: finish
DELETE FROM delivery WHERE id = ? AND attempt = ?;

-- name: forget_journal
DELETE FROM journal WHERE delivery_id = ?;

-- name: claim
UPDATE delivery SET due_at = ?, attempt = attempt + 1
WHERE id IN (
    SELECT id FROM delivery WHERE step = ? AND due_at <= ? ORDER BY due_at, id LIMIT ?
)
RETURNING id, step, topic, payload, attempt, trace_id;

-- name: journal_of
SELECT name, result FROM journal WHERE delivery_id = ?;

-- name: record
INSERT OR REPLACE INTO journal (delivery_id, name, result)
SELECT id, ?, ? FROM delivery WHERE id = ? AND attempt = ?;

-- name: next_due
SELECT min(due_at) FROM delivery WHERE step = ?;

-- name: retry
UPDATE delivery SET due_at = ? WHERE id = ? AND attempt = ?;

-- name: bury
INSERT INTO dead (step, topic, payload, error, stack, attempts, died_at, trace_id)
VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: trim_dead
DELETE FROM dead WHERE id <= (SELECT max(id) FROM dead) - ?;

-- name: dead
SELECT id, step, topic, payload, error, stack, attempts, died_at FROM dead
WHERE id > ? ORDER BY id LIMIT ?;

-- name: redrive
INSERT INTO delivery (step, topic, payload, due_at, trace_id)
SELECT step, topic, payload, ?, trace_id FROM dead WHERE id = ?;

-- name: undead
DELETE FROM dead WHERE id = ?;

-- name: purge_lapsed
DELETE FROM state WHERE expires_at <= ?;

-- name: forget_emitted
DELETE FROM emitted WHERE at <= ?;

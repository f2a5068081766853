-- name: read
SELECT data, version, expires_at FROM state WHERE group_name = ? AND key = ?;

-- name: version
SELECT version FROM state WHERE group_name = ? AND key = ?;

-- name: read_group
SELECT key, data, version, expires_at FROM state WHERE group_name = ? ORDER BY key;

-- name: read_pattern
SELECT key, data, version, expires_at FROM state
WHERE group_name = ? AND key GLOB ? ORDER BY key;

-- name: groups
SELECT group_name, count(*) FROM state WHERE group_name > ?
GROUP BY group_name ORDER BY group_name LIMIT ?;

-- name: keys
SELECT key FROM state
WHERE group_name = ? AND key > ? AND (expires_at IS NULL OR expires_at > ?)
ORDER BY key LIMIT ?;

-- name: tick
UPDATE clock SET version = version + ? RETURNING version;

-- name: write
INSERT INTO state (group_name, key, data, version, expires_at, on_expire)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (group_name, key) DO UPDATE SET
    data = excluded.data, version = excluded.version,
    expires_at = excluded.expires_at, on_expire = excluded.on_expire;

-- name: delete
DELETE FROM state WHERE group_name = ? AND key = ?;

-- name: anything_lapsed
SELECT 1 FROM state WHERE on_expire IS NOT NULL AND expires_at <= ? LIMIT 1;

-- name: next_lapse
SELECT min(expires_at) FROM state WHERE on_expire IS NOT NULL;

-- name: keep_one_lapsed
INSERT INTO lapsed (group_name, key, data, topic)
SELECT group_name, key, data, on_expire FROM state
WHERE group_name = ? AND key = ? AND on_expire IS NOT NULL AND expires_at <= ?;

-- name: keep_lapsed
INSERT INTO lapsed (group_name, key, data, topic)
SELECT group_name, key, data, on_expire FROM state
WHERE on_expire IS NOT NULL AND expires_at <= ? ORDER BY expires_at;

-- name: drop_lapsed
DELETE FROM state WHERE on_expire IS NOT NULL AND expires_at <= ?;

-- name: lapsed
SELECT id, group_name, key, data, topic FROM lapsed ORDER BY id LIMIT ?;

-- name: end_lapsed
DELETE FROM lapsed WHERE id = ?;

-- name: purge_lapsed
DELETE FROM state WHERE expires_at <= ? AND on_expire IS NULL;

-- name: forget_emitted
DELETE FROM emitted WHERE at <= ?;

-- name: forget_changes
DELETE FROM stream_change WHERE at <= ?;

-- name: deliver
INSERT INTO delivery (step, topic, payload, due_at, attempt, fence, leased, trace_id)
VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: deliver_in_lane
INSERT INTO delivery (step, topic, payload, due_at, trace_id, lane, ready)
SELECT ?1, ?2, ?3, ?4, ?5, ?6,
    NOT EXISTS (SELECT 1 FROM delivery WHERE step = ?1 AND lane = ?6);

-- name: remember_emitted
INSERT OR IGNORE INTO emitted (topic, id, at) VALUES (?, ?, ?);

-- name: anybody_waits
SELECT 1 FROM waiter LIMIT 1;

-- name: is_awaited
SELECT 1 FROM waiter WHERE topic = ? LIMIT 1;

-- name: finish
DELETE FROM delivery WHERE id = ? AND fence = ? RETURNING journaled;

-- name: next_of_lane
UPDATE delivery SET ready = 1
WHERE id = (SELECT min(id) FROM delivery WHERE step = ? AND lane = ?);

-- name: forget_journal
DELETE FROM journal WHERE delivery_id = ?;

-- name: forget_waits
DELETE FROM waiter WHERE delivery_id = ?;

-- name: claim
UPDATE delivery SET due_at = ?, attempt = attempt + 1, fence = fence + 1, leased = 1
WHERE id IN (
    SELECT id FROM delivery WHERE ready = 1 AND step = ? AND due_at <= ?
    ORDER BY due_at, id LIMIT ?
)
RETURNING id, fence, step, topic, payload, attempt, trace_id, lane;

-- name: journal_of
SELECT name, result FROM journal WHERE delivery_id = ?;

-- name: next_due
SELECT min(due_at) FROM delivery WHERE ready = 1 AND step = ?;

-- name: pending
SELECT count(*) FROM delivery WHERE step = ?;

-- name: waiting
SELECT step, count(*) FROM delivery GROUP BY step ORDER BY step;

-- name: renew
UPDATE delivery SET due_at = ? WHERE id = ? AND fence = ? AND leased = 1;

-- name: release_all
UPDATE delivery SET due_at = ?, leased = 0 WHERE leased = 1;

-- name: is_claimed
SELECT 1 FROM delivery WHERE id = ? AND fence = ?;

-- name: record
INSERT OR IGNORE INTO journal (delivery_id, name, result) VALUES (?, ?, ?);

-- name: mark_journaled
UPDATE delivery SET journaled = 1 WHERE id = ?;

-- name: recorded
SELECT result FROM journal WHERE delivery_id = ? AND name = ?;

-- name: suspend
UPDATE delivery SET due_at = ?, attempt = attempt - 1, leased = 0 WHERE id = ? AND fence = ?;

-- name: wait
INSERT OR REPLACE INTO waiter (delivery_id, name, topic, match) VALUES (?, ?, ?, ?);

-- name: waiters
SELECT delivery_id, name, topic, match FROM waiter WHERE topic = ?;

-- name: end_wait
DELETE FROM waiter WHERE delivery_id = ? AND name = ?;

-- name: wake
UPDATE delivery SET due_at = ? WHERE id = ? AND leased = 0;

-- name: retry
UPDATE delivery SET due_at = ?, leased = 0 WHERE id = ? AND fence = ?;

-- name: bury
INSERT INTO dead (step, topic, payload, error, stack, attempts, died_at, trace_id, delivery_id,
    fence, lane)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: dead
SELECT id, step, topic, payload, error, stack, attempts, died_at FROM dead
WHERE id > ? ORDER BY id LIMIT ?;

-- name: dead_letter
SELECT id, step, topic, payload, error, stack, attempts, died_at FROM dead WHERE id = ?;

-- name: newest_dead
SELECT id, step, topic, CASE WHEN length(payload) <= ?1 THEN payload END, length(payload),
    substr(error, 1, ?1), substr(stack, -?1), attempts, died_at
FROM dead WHERE id < ?2 AND (?3 IS NULL OR step = ?3) ORDER BY id DESC LIMIT ?4;

-- name: dead_counts
SELECT step, count(*) FROM dead GROUP BY step ORDER BY step;

-- name: dead_ids
SELECT id FROM dead ORDER BY id;

-- name: dead_beyond
SELECT id FROM dead
WHERE (SELECT max(id) FROM dead) - (SELECT min(id) FROM dead) >= ?1
    AND id < (SELECT id FROM dead ORDER BY id DESC LIMIT 1 OFFSET ?1 - 1);

-- name: undead
DELETE FROM dead WHERE id = ?
RETURNING step, topic, payload, trace_id, delivery_id, fence, lane;

-- name: redrive
INSERT INTO delivery (id, step, topic, payload, due_at, trace_id, fence, lane, journaled, ready)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, EXISTS (SELECT 1 FROM journal WHERE delivery_id = ?1),
    ?8 IS NULL OR NOT EXISTS (SELECT 1 FROM delivery WHERE step = ?2 AND lane = ?8 AND ready = 1);

-- name: number_change
INSERT INTO stream_head (name, group_name, seq) VALUES (?, ?, 1)
ON CONFLICT (name, group_name) DO UPDATE SET seq = seq + 1 RETURNING seq;

-- name: note_change
INSERT INTO stream_change (name, group_name, seq, kind, id, data, at)
VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: trim_changes
DELETE FROM stream_change WHERE name = ? AND group_name = ? AND seq <= ?;

-- name: head
SELECT seq FROM stream_head WHERE name = ? AND group_name = ?;

-- name: oldest_change
SELECT min(seq) FROM stream_change WHERE name = ? AND group_name = ?;

-- name: changes
SELECT seq, kind, id, data FROM stream_change
WHERE name = ? AND group_name = ? AND seq > ? ORDER BY seq LIMIT ?;

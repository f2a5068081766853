-- name: read
SELECT k.place, s.data, s.version, s.expires_at
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS k (group_name, key, place)
JOIN tidegate.state AS s ON s.group_name = k.group_name AND s.key = k.key;

-- name: check_reads
SELECT tidegate.check_reads($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11);

-- name: read_group
SELECT key, data, version, expires_at FROM tidegate.state WHERE group_name = $1 ORDER BY key;

-- name: read_pattern
SELECT key, data, version, expires_at FROM tidegate.state
WHERE group_name = $1 AND key ~ $2 ORDER BY key;

-- name: groups
SELECT group_name, count(*) FROM tidegate.state WHERE group_name > $1
GROUP BY group_name ORDER BY group_name LIMIT $2;

-- name: keys
SELECT key FROM tidegate.state
WHERE group_name = $1 AND key > $2 AND (expires_at IS NULL OR expires_at > $3)
ORDER BY key LIMIT $4;

-- name: waiting
SELECT step, count(*) FROM tidegate.delivery GROUP BY step ORDER BY step;

-- name: commit
SELECT * FROM tidegate.commit_batch(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
    $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39,
    $40, $41, $42, $43, $44, $45, $46, $47, $48, $49, $50, $51
);

-- name: claim
UPDATE tidegate.delivery
SET due_at = $1, attempt = attempt + 1, fence = fence + 1, leased = true
WHERE id = ANY (ARRAY(
    SELECT id FROM tidegate.delivery WHERE ready AND step = $2 AND due_at <= $3
    ORDER BY due_at, id LIMIT $4 FOR UPDATE SKIP LOCKED
))
RETURNING id, fence, step, topic, payload, attempt, trace_id, lane;

-- name: journals
-- Who is claimed waits no longer.
WITH waits AS (DELETE FROM tidegate.waiter WHERE delivery_id = ANY ($1::bigint[]))
SELECT delivery_id, name, result FROM tidegate.journal WHERE delivery_id = ANY ($1::bigint[]);

-- name: next_due
SELECT min(n.due_at) FROM unnest($1::text[]) AS s (step), LATERAL (
    SELECT d.due_at FROM tidegate.delivery AS d WHERE d.ready AND d.step = s.step
    ORDER BY d.due_at LIMIT 1
) AS n;

-- name: pending
SELECT (SELECT count(*) FROM tidegate.delivery WHERE ready AND step = $1)
    + (SELECT count(*) FROM tidegate.delivery WHERE lane IS NOT NULL AND NOT ready AND step = $1);

-- name: renew
UPDATE tidegate.delivery SET due_at = $1 WHERE id IN (
    -- What is being ended or claimed at this moment is left alone: waiting could be a deadlock.
    SELECT d.id FROM tidegate.delivery AS d
    JOIN unnest($2::bigint[], $3::integer[]) AS c (id, fence) ON c.id = d.id AND c.fence = d.fence
    WHERE d.leased FOR UPDATE OF d SKIP LOCKED
);

-- name: release_all
UPDATE tidegate.delivery SET due_at = $1, leased = false WHERE id IN (
    SELECT id FROM tidegate.delivery WHERE leased ORDER BY id FOR UPDATE
);

-- name: record
SELECT tidegate.record($1, $2, $3, $4);

-- name: waiters
SELECT delivery_id, name, topic, match FROM tidegate.waiter WHERE topic = $1 ORDER BY delivery_id;

-- name: answer
SELECT tidegate.answer($1, $2, $3, $4, $5);

-- name: retry
UPDATE tidegate.delivery SET due_at = $1, leased = false WHERE id = $2 AND fence = $3;

-- name: bury
SELECT tidegate.bury($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: dead
SELECT id, step, topic, payload, error, stack, attempts, died_at FROM tidegate.dead
WHERE id > $1 ORDER BY id LIMIT $2;

-- name: dead_letter
SELECT id, step, topic, payload, error, stack, attempts, died_at FROM tidegate.dead WHERE id = $1;

-- name: newest_dead
SELECT id, step, topic, CASE WHEN octet_length(payload) <= $1::int THEN payload END,
    octet_length(payload), left(error, $1), right(stack, $1), attempts, died_at
FROM tidegate.dead WHERE id < $2 AND ($3::text IS NULL OR step = $3) ORDER BY id DESC LIMIT $4;

-- name: dead_counts
SELECT step, count(*) FROM tidegate.dead GROUP BY step ORDER BY step COLLATE "C";

-- name: redrive
SELECT tidegate.redrive($1, $2::bigint[], $3);

-- name: purge_dead
SELECT tidegate.purge_dead($1::bigint[]);

-- name: purge_lapsed
DELETE FROM tidegate.state WHERE (group_name, key) IN (
    -- A commit that writes one of them goes first: waiting for it could be a deadlock.
    SELECT group_name, key FROM tidegate.state WHERE expires_at <= $1 AND on_expire IS NULL
    LIMIT $2 FOR UPDATE SKIP LOCKED
);

-- name: keep_lapsed
WITH gone AS (
    DELETE FROM tidegate.state WHERE (group_name, key) IN (
        SELECT group_name, key FROM tidegate.state
        WHERE on_expire IS NOT NULL AND expires_at <= $1
        ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
    )
    RETURNING group_name, key, data, on_expire, expires_at
)
INSERT INTO tidegate.lapsed (group_name, key, data, topic)
SELECT group_name, key, data, on_expire FROM gone ORDER BY expires_at;

-- name: lapsed
SELECT id, group_name, key, data, topic FROM tidegate.lapsed ORDER BY id LIMIT $1;

-- name: next_lapse
SELECT min(expires_at) FROM tidegate.state WHERE on_expire IS NOT NULL;

-- name: forget_emitted
DELETE FROM tidegate.emitted WHERE (topic, id) IN (
    SELECT topic, id FROM tidegate.emitted WHERE at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED
);

-- name: forget_changes
DELETE FROM tidegate.stream_change WHERE (name, group_name, seq) IN (
    SELECT name, group_name, seq FROM tidegate.stream_change WHERE at <= $1
    LIMIT $2 FOR UPDATE SKIP LOCKED
);

-- name: snapshot
SELECT coalesce(h.seq, 0), s.key, s.data
FROM (SELECT) AS one
LEFT JOIN tidegate.stream_head AS h ON h.name = $1 AND h.group_name = $2
LEFT JOIN tidegate.state AS s ON s.group_name = $3
ORDER BY s.key;

-- name: changes
SELECT coalesce(h.seq, 0), (
    SELECT min(o.seq) FROM tidegate.stream_change AS o WHERE o.name = $1 AND o.group_name = $2
), c.seq, c.kind, c.id, c.data
FROM (SELECT) AS one
LEFT JOIN tidegate.stream_head AS h ON h.name = $1 AND h.group_name = $2
LEFT JOIN LATERAL (
    SELECT seq, kind, id, data FROM tidegate.stream_change
    WHERE name = $1 AND group_name = $2 AND seq > $3 ORDER BY seq LIMIT $4
) AS c ON true
ORDER BY c.seq;

-- name: heads
SELECT coalesce(h.seq, 0) FROM unnest($1::text[], $2::text[]) WITH ORDINALITY
    AS s (name, group_name, place)
LEFT JOIN tidegate.stream_head AS h ON h.name = s.name AND h.group_name = s.group_name
ORDER BY s.place;

-- name: watch
INSERT INTO tidegate.watcher (id, seen_at) VALUES ($1, clock_timestamp())
ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at;

-- name: forget_watchers
DELETE FROM tidegate.watcher
WHERE id = $1 OR seen_at < clock_timestamp() - interval '1 hour';

-- name: size_of_deliveries
SELECT pg_relation_size('tidegate.delivery');

-- name: sweep
VACUUM (TRUNCATE false, SKIP_LOCKED) tidegate.delivery;

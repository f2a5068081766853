-- Fencing and order of deliveries, waits, values that tell when they lapse, streams.
ALTER TABLE state ADD COLUMN on_expire TEXT;
CREATE INDEX state_telling ON state (expires_at) WHERE on_expire IS NOT NULL;

-- Lapsed values with `on_expire` whose event is not emitted yet.
CREATE TABLE lapsed (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    group_name TEXT NOT NULL,
    key TEXT NOT NULL,
    data BLOB NOT NULL,
    topic TEXT NOT NULL
);

-- `fence` counts claims; `attempt` counts tries. Of a lane only the first delivery is ready.
-- `leased` tells a lease from a wait: both have `due_at` in the future.
ALTER TABLE delivery ADD COLUMN fence INTEGER NOT NULL DEFAULT 0;
ALTER TABLE delivery ADD COLUMN lane TEXT;
ALTER TABLE delivery ADD COLUMN ready INTEGER NOT NULL DEFAULT 1;
ALTER TABLE delivery ADD COLUMN leased INTEGER NOT NULL DEFAULT 0;
ALTER TABLE delivery ADD COLUMN journaled INTEGER NOT NULL DEFAULT 0;
UPDATE delivery SET journaled = 1 WHERE id IN (SELECT delivery_id FROM journal);
DROP INDEX delivery_due;
CREATE INDEX delivery_due ON delivery (step, due_at, id) WHERE ready = 1;
CREATE INDEX delivery_lane ON delivery (step, lane, id) WHERE lane IS NOT NULL;

CREATE TABLE waiter (
    delivery_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    topic TEXT NOT NULL,
    match BLOB NOT NULL,
    PRIMARY KEY (delivery_id, name)
) WITHOUT ROWID;
CREATE INDEX waiter_topic ON waiter (topic);

-- An id counts once for each topic, whoever subscribes.
ALTER TABLE emitted RENAME TO emitted_before;
CREATE TABLE emitted (
    topic TEXT NOT NULL,
    id TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (topic, id)
) WITHOUT ROWID;
INSERT OR IGNORE INTO emitted SELECT topic, id, at FROM emitted_before;
DROP TABLE emitted_before;
CREATE INDEX emitted_age ON emitted (at);

CREATE TABLE stream_head (
    name TEXT NOT NULL,
    group_name TEXT NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (name, group_name)
) WITHOUT ROWID;

CREATE TABLE stream_change (
    name TEXT NOT NULL,
    group_name TEXT NOT NULL,
    seq INTEGER NOT NULL,
    kind TEXT NOT NULL,
    id TEXT,
    data BLOB,
    at INTEGER NOT NULL,
    PRIMARY KEY (name, group_name, seq)
) WITHOUT ROWID;
CREATE INDEX stream_change_age ON stream_change (at);

-- A dead event keeps its number, its lane and its journal: tried again it is the same invocation.
ALTER TABLE dead ADD COLUMN delivery_id INTEGER;
ALTER TABLE dead ADD COLUMN fence INTEGER NOT NULL DEFAULT 0;
ALTER TABLE dead ADD COLUMN lane TEXT;

-- State and events of the step runtime. Times are Unix milliseconds.
CREATE TABLE IF NOT EXISTS state (
    group_name TEXT NOT NULL,
    key TEXT NOT NULL,
    data BLOB NOT NULL,
    version INTEGER NOT NULL,
    expires_at INTEGER,
    PRIMARY KEY (group_name, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS state_lapsing ON state (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE IF NOT EXISTS delivery (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    step TEXT NOT NULL,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL,
    due_at INTEGER NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    trace_id TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS delivery_due ON delivery (step, due_at, id);

CREATE TABLE IF NOT EXISTS journal (
    delivery_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    result BLOB NOT NULL,
    PRIMARY KEY (delivery_id, name)
) WITHOUT ROWID;

-- Ids given to emit(id=): an id that is here was emitted on that topic already.
CREATE TABLE IF NOT EXISTS emitted (
    topic TEXT NOT NULL,
    id TEXT NOT NULL,
    step TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (topic, id, step)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS dead (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    step TEXT NOT NULL,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL,
    error TEXT NOT NULL,
    stack TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    died_at INTEGER NOT NULL,
    trace_id TEXT NOT NULL
);

-- One row: the number that the next commit's writes are stamped with.
CREATE TABLE IF NOT EXISTS clock (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    version INTEGER NOT NULL
);
INSERT OR IGNORE INTO clock VALUES (1, 1);

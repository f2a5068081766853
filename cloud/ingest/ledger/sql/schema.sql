-- One row a device: what became of its readings. `spooled` ones wait on disk for the store.
CREATE TABLE IF NOT EXISTS devices (
    tenant TEXT NOT NULL,
    device TEXT NOT NULL,
    stored INTEGER NOT NULL DEFAULT 0,
    duplicate INTEGER NOT NULL DEFAULT 0,
    dead INTEGER NOT NULL DEFAULT 0,
    filtered INTEGER NOT NULL DEFAULT 0,
    heard_at_ms INTEGER NOT NULL DEFAULT 0,
    spooled INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, device)
) STRICT, WITHOUT ROWID;

-- One row a boot of a device: the sequences that have their fate, as JSON [[from, to], ...].
CREATE TABLE IF NOT EXISTS boots (
    tenant TEXT NOT NULL,
    device TEXT NOT NULL,
    boot TEXT NOT NULL,
    spans TEXT NOT NULL,
    declared_first INTEGER NOT NULL,
    forgotten INTEGER NOT NULL,
    heard_at_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant, device, boot)
) STRICT, WITHOUT ROWID;

-- What batches add to the rows of devices and boots (`journal.py`), until those are settled. Its
-- numbers are never used again: they tell who reads along what he has missed.
CREATE TABLE IF NOT EXISTS journal (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    page BLOB NOT NULL
) STRICT;

-- `only`: the indexes of the readings that were refused, as JSON; NULL for the whole message.
-- `is_shortened`: only the payload's beginning is kept. `content_type`: what the sender said.
CREATE TABLE IF NOT EXISTS dead_letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT,
    device TEXT,
    topic TEXT NOT NULL,
    reason TEXT NOT NULL,
    payload BLOB NOT NULL,
    readings INTEGER NOT NULL,
    only TEXT,
    received_at_ms INTEGER NOT NULL,
    is_shortened INTEGER NOT NULL DEFAULT 0,
    content_type TEXT
) STRICT;

CREATE INDEX IF NOT EXISTS dead_letters_by_device ON dead_letters (tenant, device, id);

CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT;

-- What requests with an Idempotency-Key were answered (deflated JSON), for a day.
CREATE TABLE IF NOT EXISTS outcomes (
    tenant TEXT NOT NULL,
    device TEXT NOT NULL,
    key TEXT NOT NULL,
    digest BLOB NOT NULL,
    outcome BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant, device, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS outcomes_by_time ON outcomes (tenant, device, at_ms);
CREATE INDEX IF NOT EXISTS outcomes_by_age ON outcomes (at_ms);

-- Readings without a sequence, as `Moments` knows them: a device has as many slots as that keeps.
CREATE TABLE IF NOT EXISTS moments (
    tenant TEXT NOT NULL,
    device TEXT NOT NULL,
    slot INTEGER NOT NULL,
    number INTEGER NOT NULL,
    mark TEXT NOT NULL,
    PRIMARY KEY (tenant, device, slot)
) STRICT, WITHOUT ROWID;

-- Every series ever heard, for the limits of a device and a tenant.
CREATE TABLE IF NOT EXISTS series (
    tenant TEXT NOT NULL,
    device TEXT NOT NULL,
    metric TEXT NOT NULL,
    PRIMARY KEY (tenant, device, metric)
) STRICT, WITHOUT ROWID;

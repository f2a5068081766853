CREATE TABLE IF NOT EXISTS series (
    id INTEGER NOT NULL,
    tenant VARCHAR NOT NULL,
    device VARCHAR NOT NULL,
    metric VARCHAR NOT NULL
);

-- No key on the points: an index would cost more than the append itself. The adapter, the only
-- writer of the file, keeps (series_id, ts_ms, ord) unique over points and states together.
CREATE TABLE IF NOT EXISTS points (
    series_id INTEGER NOT NULL,
    ts_ms BIGINT NOT NULL,
    value DOUBLE NOT NULL,
    ord BIGINT DEFAULT 0
);

CREATE TABLE IF NOT EXISTS states (
    series_id INTEGER NOT NULL,
    ts_ms BIGINT NOT NULL,
    state VARCHAR NOT NULL, -- JSON: a text or a boolean
    ord BIGINT DEFAULT 0
);

-- Files of earlier versions know points by series and time alone.
ALTER TABLE points ADD COLUMN IF NOT EXISTS ord BIGINT DEFAULT 0;
ALTER TABLE states ADD COLUMN IF NOT EXISTS ord BIGINT DEFAULT 0;

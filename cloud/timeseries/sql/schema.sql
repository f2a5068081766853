CREATE TABLE IF NOT EXISTS series (
    id INTEGER NOT NULL,
    tenant VARCHAR NOT NULL,
    device VARCHAR NOT NULL,
    metric VARCHAR NOT NULL
);

-- No key on the points: an index would cost more than the append itself. The adapter, the only
-- writer of the file, keeps (series_id, ts_ms) unique over points and states together.
CREATE TABLE IF NOT EXISTS points (
    series_id INTEGER NOT NULL,
    ts_ms BIGINT NOT NULL,
    value DOUBLE NOT NULL
);

CREATE TABLE IF NOT EXISTS states (
    series_id INTEGER NOT NULL,
    ts_ms BIGINT NOT NULL,
    state VARCHAR NOT NULL -- JSON: a text or a boolean
);

-- Numbers of one series in [start_ms, start_ms + 5 minutes); rows of buckets that have any.
CREATE TABLE rollups_5m (
    series_id INTEGER NOT NULL,
    start_ms BIGINT NOT NULL,
    count BIGINT NOT NULL,
    sum DOUBLE NOT NULL,
    min DOUBLE NOT NULL,
    max DOUBLE NOT NULL,
    first DOUBLE NOT NULL,
    first_ms BIGINT NOT NULL,
    last DOUBLE NOT NULL,
    last_ms BIGINT NOT NULL
);

-- The same by the hour, made of rollups_5m.
CREATE TABLE rollups_1h AS FROM rollups_5m WITH NO DATA;

-- Buckets of five minutes below `rolled_ms` whose points have changed since. Repeats are allowed.
CREATE TABLE dirty (
    series_id INTEGER NOT NULL,
    start_ms BIGINT NOT NULL
);

-- Deleted series whose rows have not been removed yet; their ids are not given to others.
CREATE TABLE gone (
    series_id INTEGER NOT NULL
);

-- One row. Buckets and hours that end by `rolled_ms` are rolled up, except dirty ones;
-- points and states before `raw_from_ms` (a whole hour) have been dropped by age.
CREATE TABLE progress (
    rolled_ms BIGINT NOT NULL,
    raw_from_ms BIGINT NOT NULL
);

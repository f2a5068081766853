-- State and events of the step runtime, in a schema of its own. Times are Unix milliseconds.
-- What is here already stays: before migrations had numbers, every start ran this text.
-- Collation "C" sorts by code point.
CREATE SCHEMA IF NOT EXISTS tidegate;

-- What each batch's writes are stamped with; never 0, never used twice.
CREATE SEQUENCE IF NOT EXISTS tidegate.version;

CREATE TABLE IF NOT EXISTS tidegate.state (
    group_name text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    data bytea NOT NULL,
    version bigint NOT NULL,
    expires_at bigint,
    PRIMARY KEY (group_name, key)
);
CREATE INDEX IF NOT EXISTS state_lapsing ON tidegate.state (expires_at)
    WHERE expires_at IS NOT NULL;

CREATE TABLE IF NOT EXISTS tidegate.delivery (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    step text COLLATE "C" NOT NULL,
    topic text NOT NULL,
    payload bytea NOT NULL,
    due_at bigint NOT NULL,
    attempt integer NOT NULL DEFAULT 0,
    trace_id text NOT NULL
);
CREATE INDEX IF NOT EXISTS delivery_due ON tidegate.delivery (step, due_at, id);

CREATE TABLE IF NOT EXISTS tidegate.journal (
    delivery_id bigint NOT NULL,
    name text NOT NULL,
    result bytea NOT NULL,
    PRIMARY KEY (delivery_id, name)
);

CREATE TABLE IF NOT EXISTS tidegate.emitted (
    topic text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    step text COLLATE "C" NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (topic, id, step)
);
CREATE INDEX IF NOT EXISTS emitted_age ON tidegate.emitted (at);

CREATE TABLE IF NOT EXISTS tidegate.dead (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    step text NOT NULL,
    topic text NOT NULL,
    payload bytea NOT NULL,
    error text NOT NULL,
    stack text NOT NULL,
    attempts integer NOT NULL,
    died_at bigint NOT NULL,
    trace_id text NOT NULL
);

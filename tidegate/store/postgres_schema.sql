-- State and events of the step runtime, in a schema of its own. Times are Unix milliseconds.
-- Runs when a process starts and this text is not what ran last. Collation "C" sorts by code point.
CREATE SCHEMA IF NOT EXISTS tidegate;

-- What each commit's writes are stamped with; never 0, never used twice.
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

-- Ids given to emit(id=): an id that is here was emitted on that topic already.
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

-- Wait for a commit's advisory locks in the order given, which is the same for everybody: so
-- nobody waits for one who waits for him. They go at the transaction's end.
CREATE OR REPLACE FUNCTION tidegate.lock_in_order(ids bigint[], alone boolean[])
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. cardinality(ids) LOOP
        IF alone[i] THEN
            PERFORM pg_advisory_xact_lock(ids[i]);
        ELSE
            PERFORM pg_advisory_xact_lock_shared(ids[i]);
        END IF;
    END LOOP;
END $$;

-- Return the first key whose version is not the one that was read (0: absent), else NULL.
CREATE OR REPLACE FUNCTION tidegate.stale_key(groups text[], keys text[], versions bigint[])
RETURNS text LANGUAGE sql AS $$
    SELECT r.group_name || '/' || r.key
    FROM unnest(groups, keys, versions) AS r (group_name, key, version)
    LEFT JOIN tidegate.state AS s ON s.group_name = r.group_name AND s.key = r.key
    WHERE coalesce(s.version, 0) <> r.version
    LIMIT 1
$$;

-- Tell whether a group (its keys that match, unless the pattern is NULL) is as it was read.
CREATE OR REPLACE FUNCTION tidegate.group_is(
    group_read text, pattern text, keys text[], versions bigint[]
) RETURNS boolean LANGUAGE sql AS $$
    SELECT coalesce(array_agg(s.key ORDER BY s.key), '{}') = keys
        AND coalesce(array_agg(s.version ORDER BY s.key), '{}') = versions
    FROM tidegate.state AS s
    WHERE s.group_name = group_read AND (pattern IS NULL OR s.key ~ pattern)
$$;

CREATE OR REPLACE FUNCTION tidegate.write_values(
    groups text[], keys text[], contents bytea[], lapses bigint[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    stamp bigint := nextval('tidegate.version');
BEGIN
    DELETE FROM tidegate.state AS s
    USING unnest(groups, keys, contents) AS w (group_name, key, data)
    WHERE w.data IS NULL AND s.group_name = w.group_name AND s.key = w.key;

    INSERT INTO tidegate.state (group_name, key, data, version, expires_at)
    SELECT w.group_name, w.key, w.data, stamp, w.expires_at
    FROM unnest(groups, keys, contents, lapses) AS w (group_name, key, data, expires_at)
    WHERE w.data IS NOT NULL
    ON CONFLICT (group_name, key) DO UPDATE SET
        data = excluded.data, version = excluded.version, expires_at = excluded.expires_at;
END $$;

-- Insert deliveries in the order given, but not those whose id was emitted before.
CREATE OR REPLACE FUNCTION tidegate.deliver(
    steps text[], topics text[], payloads bytea[], due bigint[], traces text[], dedups text[]
) RETURNS void LANGUAGE sql AS $$
    WITH given AS (
        SELECT *, row_number() OVER (PARTITION BY topic, dedup, step ORDER BY place) AS nth
        FROM unnest(steps, topics, payloads, due, traces, dedups) WITH ORDINALITY
            AS n (step, topic, payload, due_at, trace_id, dedup, place)
    ), fresh AS (
        INSERT INTO tidegate.emitted (topic, id, step, at)
        SELECT topic, dedup, step, due_at FROM given
        WHERE dedup IS NOT NULL AND nth = 1
        ORDER BY topic COLLATE "C", dedup COLLATE "C", step COLLATE "C"
        ON CONFLICT DO NOTHING
        RETURNING topic, id, step
    )
    INSERT INTO tidegate.delivery (step, topic, payload, due_at, trace_id)
    SELECT step, topic, payload, due_at, trace_id FROM given
    WHERE dedup IS NULL OR (nth = 1 AND (topic, dedup, step) IN (SELECT * FROM fresh))
    ORDER BY place
$$;

-- Apply one commit. Returns NULL when it is applied; else nothing is changed, and it says why:
-- 'lost' (the delivery went to another), or what is no longer as it was read. Each statement sees
-- what was committed before it began, so the checks see all that their locks waited for: that
-- needs READ COMMITTED.
CREATE OR REPLACE FUNCTION tidegate.commit(
    lock_ids bigint[], lock_alone boolean[],
    read_groups text[], read_keys text[], read_versions bigint[],
    -- A group read's keys and versions are those up to its end, from the end before it.
    list_groups text[], list_patterns text[], list_ends integer[],
    list_keys text[], list_versions bigint[],
    done_id bigint, done_attempt integer,
    groups text[], keys text[], contents bytea[], lapses bigint[],
    steps text[], topics text[], payloads bytea[], due bigint[], traces text[], dedups text[]
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    changed text;
    start integer := 0;
BEGIN
    PERFORM tidegate.lock_in_order(lock_ids, lock_alone);
    IF cardinality(read_keys) > 0 THEN
        changed := tidegate.stale_key(read_groups, read_keys, read_versions);
        IF changed IS NOT NULL THEN
            RETURN changed;
        END IF;
    END IF;
    FOR i IN 1 .. cardinality(list_groups) LOOP
        IF NOT tidegate.group_is(
            list_groups[i], list_patterns[i],
            list_keys[start + 1 : list_ends[i]], list_versions[start + 1 : list_ends[i]]
        ) THEN
            RETURN 'group ' || list_groups[i];
        END IF;
        start := list_ends[i];
    END LOOP;
    IF done_id IS NOT NULL THEN
        DELETE FROM tidegate.delivery WHERE id = done_id AND attempt = done_attempt;
        IF NOT FOUND THEN
            RETURN 'lost';
        END IF;
        DELETE FROM tidegate.journal WHERE delivery_id = done_id;
    END IF;
    IF cardinality(keys) > 0 THEN
        PERFORM tidegate.write_values(groups, keys, contents, lapses);
    END IF;
    IF cardinality(steps) > 0 THEN
        PERFORM tidegate.deliver(steps, topics, payloads, due, traces, dedups);
    END IF;
    RETURN NULL;
END $$;

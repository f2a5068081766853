-- Many commits in one transaction. Why no two batches wait for each other: whatever a transaction
-- waits for belongs to one of the classes below, it waits for them in this order, and within a
-- class in ascending order. (docs/adr/0010)
--   1 advisory locks, by number   2 values, by group and key   3 deliveries, by id
--   4 lapsed values, by id        5 ids of events, by topic and id
--   6 heads of streams, by name and group

-- Wait for advisory locks; two names of one number wait for each other, no more.
CREATE FUNCTION tidegate.take_locks(names text[], alone boolean[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM CASE WHEN l.alone THEN pg_advisory_xact_lock(l.id)
        ELSE pg_advisory_xact_lock_shared(l.id) END
    FROM (
        SELECT hashtextextended(n.name, 0) AS id, bool_or(n.alone) AS alone
        FROM unnest(names, take_locks.alone) AS n (name, alone) GROUP BY 1 ORDER BY 1
    ) AS l;
END $$;

-- Hold one lane alone, beside everybody who does not hold the whole store.
CREATE FUNCTION tidegate.take_lane(step text, lane text) RETURNS void
LANGUAGE sql AS $$
    SELECT tidegate.take_locks(ARRAY['store', 'lane ' || step || ' ' || lane], ARRAY[false, true])
$$;

-- Tell whether a group (its keys that match, unless the pattern is NULL) is as it was read.
-- Version 0 is a place that a commit holds: nothing is there.
CREATE FUNCTION tidegate.group_is(
    group_read text, pattern text, keys text[], versions bigint[]
) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(array_agg(s.key ORDER BY s.key), '{}') = coalesce(keys, '{}')
        AND coalesce(array_agg(s.version ORDER BY s.key), '{}') = coalesce(versions, '{}')
    FROM tidegate.state AS s
    WHERE s.group_name = group_read AND s.version <> 0 AND (pattern IS NULL OR s.key ~ pattern)
$$;

-- Compare group reads; returns the faults of their commits. A read's keys and versions are those
-- up to its end, from the end before it.
CREATE FUNCTION tidegate.stale_lists(
    faults text[], list_commit integer[], list_groups text[], list_patterns text[],
    list_ends integer[], list_keys text[], list_versions bigint[]
) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    start integer := 0;
BEGIN
    FOR i IN 1 .. coalesce(cardinality(list_groups), 0) LOOP
        IF NOT tidegate.group_is(
            list_groups[i], list_patterns[i],
            list_keys[start + 1 : list_ends[i]], list_versions[start + 1 : list_ends[i]]
        ) THEN
            faults[list_commit[i]] := 'list ' || i;
        END IF;
        start := list_ends[i];
    END LOOP;
    RETURN faults;
END $$;

-- Check commits that only read: all of them as of one moment, without a lock.
CREATE FUNCTION tidegate.check_reads(
    commits integer, key_commit integer[], groups text[], keys text[], versions bigint[],
    list_commit integer[], list_groups text[], list_patterns text[], list_ends integer[],
    list_keys text[], list_versions bigint[]
) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    faults text[] := array_fill(NULL::text, ARRAY[commits]);
    at integer;
BEGIN
    FOR at IN
        SELECT k.at
        FROM unnest(groups, keys, versions) WITH ORDINALITY AS k (group_name, key, version, at)
        LEFT JOIN tidegate.state AS s ON s.group_name = k.group_name AND s.key = k.key
        WHERE coalesce(s.version, 0) <> k.version
    LOOP
        faults[key_commit[at]] := 'key ' || at;
    END LOOP;
    RETURN tidegate.stale_lists(
        faults, list_commit, list_groups, list_patterns, list_ends, list_keys, list_versions
    );
END $$;

-- Take what is written: only of commits without a fault. Every place exists, the caller holds it.
CREATE FUNCTION tidegate.write_values(
    faults text[], now bigint[], lapsing boolean,
    key_commit integer[], groups text[], keys text[], only_read boolean[],
    contents bytea[], lapses bigint[], lapse_topics text[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    stamp bigint := nextval('tidegate.version');
BEGIN
    IF lapsing THEN
        INSERT INTO tidegate.lapsed (group_name, key, data, topic)
        SELECT s.group_name, s.key, s.data, s.on_expire
        FROM unnest(key_commit, groups, keys, only_read) AS w (commit, group_name, key, only_read)
        JOIN tidegate.state AS s ON s.group_name = w.group_name AND s.key = w.key
        WHERE w.only_read IS NULL AND faults[w.commit] IS NULL
            AND s.on_expire IS NOT NULL AND s.expires_at <= now[w.commit]
        ORDER BY s.expires_at;
    END IF;
    UPDATE tidegate.state AS s SET
        data = w.data, version = stamp, expires_at = w.expires_at, on_expire = w.on_expire
    FROM unnest(key_commit, groups, keys, only_read, contents, lapses, lapse_topics)
        AS w (commit, group_name, key, only_read, data, expires_at, on_expire)
    WHERE w.only_read IS NULL AND w.data IS NOT NULL AND faults[w.commit] IS NULL
        AND s.group_name = w.group_name AND s.key = w.key;
END $$;

-- Which events are new: those whose id was not seen before on their topic, nor earlier in the
-- batch. Returns the numbers of the others.
CREATE FUNCTION tidegate.seen_before(
    faults text[], now bigint[], event_commit integer[], events integer[], again boolean[],
    topics text[], ids text[]
) RETURNS integer[] LANGUAGE sql AS $$
    WITH given AS (
        SELECT e.topic, e.id, e.commit, e.event, row_number() OVER (
            PARTITION BY e.topic COLLATE "C", e.id COLLATE "C" ORDER BY e.event
        ) AS nth
        FROM unnest(event_commit, events, again, topics, ids)
            AS e (commit, event, again, topic, id)
        WHERE e.again IS NULL AND e.id IS NOT NULL AND faults[e.commit] IS NULL
    ), fresh AS (
        INSERT INTO tidegate.emitted (topic, id, at)
        SELECT topic, id, now[commit] FROM given WHERE nth = 1
        ORDER BY topic COLLATE "C", id COLLATE "C"
        ON CONFLICT DO NOTHING
        RETURNING topic, id
    )
    SELECT array_agg(event) FROM given
    WHERE nth > 1 OR (topic, id) NOT IN (SELECT topic, id FROM fresh)
$$;

-- Insert deliveries in the order given, and for every event of a topic that somebody waits for
-- one to the step of the waits. A row is one address of an event, or an event without any; `again`
-- marks those after an event's first. What has a lease is claimed by its sender.
CREATE FUNCTION tidegate.deliver(
    faults text[], now bigint[], wait_step text,
    event_commit integer[], events integer[], again boolean[],
    topics text[], payloads bytea[], traces text[], ids text[],
    steps text[], due bigint[], lanes text[], leases bigint[],
    OUT waits boolean, OUT dropped integer[], OUT leased bigint[]
) LANGUAGE plpgsql AS $$
DECLARE
    drops boolean[];
    number integer;
BEGIN
    IF ids IS NOT NULL THEN
        dropped := tidegate.seen_before(faults, now, event_commit, events, again, topics, ids);
        drops := array_fill(false, ARRAY[events[cardinality(events)]]);
        FOREACH number IN ARRAY coalesce(dropped, '{}') LOOP
            drops[number] := true;
        END LOOP;
    END IF;
    IF lanes IS NOT NULL THEN
        INSERT INTO tidegate.delivery (step, topic, payload, due_at, trace_id, lane, ready)
        SELECT g.step, g.topic, g.payload, g.due_at, g.trace_id, g.lane,
            g.nth = 1 AND NOT EXISTS (
                SELECT FROM tidegate.delivery AS d WHERE d.step = g.step AND d.lane = g.lane
            )
        FROM (
            SELECT e.*, row_number() OVER (
                PARTITION BY e.step COLLATE "C", e.lane COLLATE "C" ORDER BY e.place
            ) AS nth
            FROM unnest(event_commit, events, topics, payloads, traces, steps, due, lanes)
                WITH ORDINALITY
                AS e (commit, event, topic, payload, trace_id, step, due_at, lane, place)
            WHERE e.lane IS NOT NULL AND faults[e.commit] IS NULL
                AND (drops IS NULL OR NOT drops[e.event])
        ) AS g
        ORDER BY g.place;
    END IF;
    WITH put AS (
        INSERT INTO tidegate.delivery (
            step, topic, payload, due_at, trace_id, attempt, fence, leased
        )
        SELECT e.step, e.topic, e.payload, coalesce(e.lease, e.due_at), e.trace_id,
            (e.lease IS NOT NULL)::integer, (e.lease IS NOT NULL)::integer, e.lease IS NOT NULL
        FROM unnest(event_commit, events, topics, payloads, traces, steps, due, lanes, leases)
            WITH ORDINALITY
            AS e (commit, event, topic, payload, trace_id, step, due_at, lane, lease, place)
        WHERE e.step IS NOT NULL AND e.lane IS NULL AND faults[e.commit] IS NULL
            AND (drops IS NULL OR NOT drops[e.event])
        ORDER BY e.place
        RETURNING id, delivery.leased AS is_leased
    )
    SELECT array_agg(id ORDER BY id) INTO leased FROM put WHERE is_leased;
    waits := false;
    IF EXISTS (SELECT FROM tidegate.waiter) THEN
        INSERT INTO tidegate.delivery (step, topic, payload, due_at, trace_id)
        SELECT wait_step, e.topic, e.payload, now[e.commit], e.trace_id
        FROM unnest(event_commit, events, again, topics, payloads, traces) WITH ORDINALITY
            AS e (commit, event, again, topic, payload, trace_id, place)
        WHERE e.again IS NULL AND faults[e.commit] IS NULL
            AND (drops IS NULL OR NOT drops[e.event])
            AND EXISTS (SELECT FROM tidegate.waiter AS w WHERE w.topic = e.topic)
        ORDER BY e.place;
        waits := FOUND;
    END IF;
END $$;

-- Number and keep stream changes; returns their numbers in the order given, NULL for those of
-- commits with a fault.
CREATE FUNCTION tidegate.note_changes(
    faults text[], now bigint[], change_commit integer[], names text[], groups text[],
    kinds text[], ids text[], contents bytea[], keep bigint
) RETURNS bigint[] LANGUAGE sql AS $$
    WITH given AS (
        SELECT c.*, row_number() OVER (
            PARTITION BY c.name COLLATE "C", c.group_name COLLATE "C" ORDER BY c.place
        ) AS nth
        FROM unnest(change_commit, names, groups, kinds, ids, contents) WITH ORDINALITY
            AS c (commit, name, group_name, kind, id, data, place)
        WHERE faults[c.commit] IS NULL
    ), heads AS (
        INSERT INTO tidegate.stream_head AS h (name, group_name, seq)
        SELECT name, group_name, count(*) FROM given GROUP BY name, group_name
        ORDER BY name COLLATE "C", group_name COLLATE "C"
        ON CONFLICT (name, group_name) DO UPDATE SET seq = h.seq + excluded.seq
        RETURNING name, group_name, seq
    ), numbered AS (
        SELECT g.*, h.seq - max(g.nth) OVER (PARTITION BY h.name, h.group_name) + g.nth AS seq
        FROM given AS g JOIN heads AS h ON h.name = g.name AND h.group_name = g.group_name
    ), kept AS (
        INSERT INTO tidegate.stream_change (name, group_name, seq, kind, id, data, at)
        SELECT name, group_name, seq, kind, id, data, now[commit] FROM numbered
    ), trimmed AS (
        DELETE FROM tidegate.stream_change AS old USING heads AS h
        WHERE old.name = h.name AND old.group_name = h.group_name AND old.seq <= h.seq - keep
    )
    SELECT array_agg(n.seq ORDER BY a.place)
    FROM generate_series(1, cardinality(names)) AS a (place)
    LEFT JOIN numbered AS n ON n.place = a.place
$$;

-- Tell other processes that something is due for these steps, if there are any who listen.
-- Who tells ends his transaction alone, so that the order is one for all: it has its price.
CREATE FUNCTION tidegate.tell(origin text, steps text[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    told text;
BEGIN
    IF EXISTS (
        SELECT FROM tidegate.watcher
        WHERE id <> origin AND seen_at > clock_timestamp() - interval '60 seconds'
    ) THEN
        SELECT json_agg(DISTINCT step) INTO told FROM unnest(steps) AS s (step);
        -- Longer than a notification may be: then it stands for any step.
        IF told IS NOT NULL THEN
            PERFORM pg_notify('tidegate', origin || ' '
                || CASE WHEN octet_length(told) < 7000 THEN told ELSE '[]' END);
        END IF;
    END IF;
END $$;

-- Lock the deliveries that commits end or suspend; returns the places of those whose claim is void.
CREATE FUNCTION tidegate.void_claims(claim_ids bigint[], claim_fences integer[])
RETURNS integer[] LANGUAGE sql AS $$
    WITH held AS (
        SELECT d.id, d.fence FROM tidegate.delivery AS d
        WHERE d.id = ANY (claim_ids) ORDER BY d.id FOR UPDATE
    )
    SELECT array_agg(c.place::integer)
    FROM unnest(claim_ids, claim_fences) WITH ORDINALITY AS c (id, fence, place)
    WHERE (c.id, c.fence) NOT IN (SELECT id, fence FROM held)
$$;

-- Lock lapsed values; returns the places of those whose event was emitted already.
CREATE FUNCTION tidegate.lapsed_told(told_ids bigint[]) RETURNS integer[]
LANGUAGE sql AS $$
    WITH held AS (
        SELECT l.id FROM tidegate.lapsed AS l
        WHERE l.id = ANY (told_ids) ORDER BY l.id FOR UPDATE
    )
    SELECT array_agg(t.place::integer) FROM unnest(told_ids) WITH ORDINALITY AS t (id, place)
    WHERE t.id NOT IN (SELECT id FROM held)
$$;

-- Make the first of each lane ready, unless one is already. The caller holds the lanes. Returns the
-- steps concerned.
CREATE FUNCTION tidegate.free_lanes(steps text[], lanes text[]) RETURNS text[]
LANGUAGE sql AS $$
    WITH freed AS (
        UPDATE tidegate.delivery SET ready = true
        WHERE NOT ready AND id IN (
            SELECT (
                SELECT d.id FROM tidegate.delivery AS d
                WHERE d.step = l.step AND d.lane = l.lane ORDER BY d.id LIMIT 1
            )
            FROM (
                SELECT DISTINCT u.step COLLATE "C" AS step, u.lane COLLATE "C" AS lane
                FROM unnest(steps, lanes) AS u (step, lane) WHERE u.lane IS NOT NULL
            ) AS l
            WHERE NOT EXISTS (
                SELECT FROM tidegate.delivery AS d
                WHERE d.step = l.step AND d.lane = l.lane AND d.ready
            )
        )
        RETURNING step
    )
    SELECT array_agg(DISTINCT step::text) FROM freed
$$;

-- End the claims of commits without a fault, or give them back until their time with what their
-- runs have noted: results for the journal, or, with a topic, what they wait for.
CREATE FUNCTION tidegate.settle(
    faults text[], claim_commit integer[], claim_ids bigint[], claim_due bigint[],
    note_commit integer[], note_ids bigint[], note_names text[], note_topics text[],
    note_contents bytea[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    ended bigint[];
BEGIN
    SELECT array_agg(c.id) INTO ended
    FROM unnest(claim_commit, claim_ids, claim_due) AS c (commit, id, due_at)
    WHERE c.due_at IS NULL AND faults[c.commit] IS NULL;
    IF ended IS NOT NULL THEN
        WITH waits AS (DELETE FROM tidegate.waiter WHERE delivery_id = ANY (ended)),
            results AS (DELETE FROM tidegate.journal WHERE delivery_id = ANY (ended))
        DELETE FROM tidegate.delivery WHERE id = ANY (ended);
    END IF;
    IF claim_due IS NOT NULL THEN
        UPDATE tidegate.delivery AS d
        SET due_at = c.due_at, attempt = d.attempt - 1, leased = false
        FROM unnest(claim_commit, claim_ids, claim_due) AS c (commit, id, due_at)
        WHERE d.id = c.id AND c.due_at IS NOT NULL AND faults[c.commit] IS NULL;
        INSERT INTO tidegate.journal (delivery_id, name, result)
        SELECT n.id, n.name, n.content
        FROM unnest(note_commit, note_ids, note_names, note_topics, note_contents)
            AS n (commit, id, name, topic, content)
        WHERE n.topic IS NULL AND faults[n.commit] IS NULL
        ON CONFLICT DO NOTHING;
        INSERT INTO tidegate.waiter (delivery_id, name, topic, match)
        SELECT n.id, n.name, n.topic, n.content
        FROM unnest(note_commit, note_ids, note_names, note_topics, note_contents)
            AS n (commit, id, name, topic, content)
        WHERE n.topic IS NOT NULL AND faults[n.commit] IS NULL
        ON CONFLICT (delivery_id, name) DO UPDATE
        SET topic = excluded.topic, match = excluded.match;
    END IF;
END $$;

-- Apply a batch of commits, of which none writes what another reads or writes, and no two end one
-- delivery or lapsed value. `now` has one time for each. A commit with a fault changes nothing:
-- 'key N' and 'list N' name the place of what is no longer as it was read, 'lost N' that of a
-- void claim, 'told N' that of a lapsed value which is gone. A column of nothing but NULL may be
-- NULL itself. Each statement sees what was committed
-- before it began, so the checks see all that their locks waited for: that needs READ COMMITTED.
CREATE FUNCTION tidegate.commit_batch(
    origin text, wait_step text, keep_changes bigint, now bigint[],
    lock_names text[], lock_alone boolean[],
    key_commit integer[], groups text[], keys text[], versions bigint[], only_read boolean[],
    contents bytea[], lapses bigint[], lapse_topics text[], deletes boolean,
    list_commit integer[], list_groups text[], list_patterns text[], list_ends integer[],
    list_keys text[], list_versions bigint[],
    claim_commit integer[], claim_ids bigint[], claim_fences integer[],
    claim_steps text[], claim_lanes text[], claim_due bigint[],
    note_commit integer[], note_ids bigint[], note_names text[], note_topics text[],
    note_contents bytea[],
    told_commit integer[], told_ids bigint[],
    event_commit integer[], events integer[], again boolean[],
    topics text[], payloads bytea[], traces text[], ids text[],
    steps text[], due bigint[], lanes text[], leases bigint[],
    change_commit integer[], change_names text[], change_groups text[], change_kinds text[],
    change_ids text[], change_contents bytea[],
    OUT faults text[], OUT seqs bigint[], OUT woken text[], OUT dropped integer[],
    OUT leased bigint[]
) LANGUAGE plpgsql AS $$
DECLARE
    at integer;
    stale integer[];
    held boolean;
    lapsing boolean;
    waits boolean;
BEGIN
    faults := array_fill(NULL::text, ARRAY[cardinality(now)]);
    PERFORM tidegate.take_locks(lock_names, lock_alone);
    IF keys IS NOT NULL THEN
        -- Whoever reads or writes a value holds its row. What is absent gets a row of version 0,
        -- which nobody else ever sees; what is there is only locked.
        INSERT INTO tidegate.state AS s (group_name, key, data, version)
        SELECT DISTINCT k.group_name COLLATE "C", k.key COLLATE "C", ''::bytea, 0
        FROM unnest(groups, keys) AS k (group_name, key) ORDER BY 1, 2
        ON CONFLICT (group_name, key) DO UPDATE SET version = 0 WHERE false;

        SELECT array_agg(k.place) FILTER (WHERE s.version <> k.version), bool_or(s.version = 0),
            bool_or(
                k.only_read IS NULL AND s.on_expire IS NOT NULL AND s.expires_at <= now[k.commit]
            )
        INTO stale, held, lapsing
        FROM unnest(key_commit, groups, keys, versions, only_read) WITH ORDINALITY
            AS k (commit, group_name, key, version, only_read, place)
        JOIN tidegate.state AS s ON s.group_name = k.group_name AND s.key = k.key;
        IF stale IS NOT NULL THEN
            FOREACH at IN ARRAY stale LOOP
                faults[key_commit[at]] := 'key ' || at;
            END LOOP;
        END IF;
    END IF;
    IF list_groups IS NOT NULL THEN
        faults := tidegate.stale_lists(
            faults, list_commit, list_groups, list_patterns, list_ends, list_keys, list_versions
        );
    END IF;
    IF claim_ids IS NOT NULL THEN
        FOREACH at IN ARRAY coalesce(tidegate.void_claims(claim_ids, claim_fences), '{}') LOOP
            faults[claim_commit[at]] := 'lost ' || at;
        END LOOP;
    END IF;
    IF told_ids IS NOT NULL THEN
        FOREACH at IN ARRAY coalesce(tidegate.lapsed_told(told_ids), '{}') LOOP
            faults[told_commit[at]] := 'told ' || at;
        END LOOP;
        DELETE FROM tidegate.lapsed AS l USING unnest(told_commit, told_ids) AS t (commit, id)
        WHERE l.id = t.id AND faults[t.commit] IS NULL;
    END IF;

    IF claim_ids IS NOT NULL THEN
        PERFORM tidegate.settle(
            faults, claim_commit, claim_ids, claim_due,
            note_commit, note_ids, note_names, note_topics, note_contents
        );
    END IF;
    IF claim_lanes IS NOT NULL THEN
        woken := tidegate.free_lanes(claim_steps, claim_lanes);
    END IF;
    IF keys IS NOT NULL THEN
        PERFORM tidegate.write_values(
            faults, now, lapsing, key_commit, groups, keys, only_read, contents, lapses, lapse_topics
        );
        IF held OR deletes THEN
            DELETE FROM tidegate.state AS s
            USING unnest(key_commit, groups, keys, only_read, contents)
                AS w (commit, group_name, key, only_read, data)
            WHERE s.group_name = w.group_name AND s.key = w.key AND (
                s.version = 0 OR w.only_read IS NULL AND w.data IS NULL AND faults[w.commit] IS NULL
            );
        END IF;
    END IF;
    IF event_commit IS NOT NULL THEN
        SELECT d.waits, d.dropped, d.leased INTO waits, dropped, leased FROM tidegate.deliver(
            faults, now, wait_step, event_commit, events, again, topics, payloads, traces, ids,
            steps, due, lanes, leases
        ) AS d;
        IF waits THEN
            woken := array_append(woken, wait_step);
        END IF;
    END IF;
    IF change_names IS NOT NULL THEN
        seqs := tidegate.note_changes(
            faults, now, change_commit, change_names, change_groups, change_kinds,
            change_ids, change_contents, keep_changes
        );
    END IF;
    IF steps IS NOT NULL OR woken IS NOT NULL THEN
        PERFORM tidegate.tell(origin, steps || woken);
    END IF;
    faults := nullif(faults, array_fill(NULL::text, ARRAY[cardinality(now)]));
END $$;

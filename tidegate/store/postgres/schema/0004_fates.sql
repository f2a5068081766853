-- What becomes of deliveries outside of commits. Locks are taken in the order that commits take
-- them: advisory locks, then one delivery, then what belongs to it.

-- Returns what is journaled now, NULL when the claim is void.
CREATE FUNCTION tidegate.record(claim_id bigint, claim_fence integer, note text, outcome bytea)
RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
    kept bytea;
BEGIN
    PERFORM FROM tidegate.delivery WHERE id = claim_id AND fence = claim_fence FOR UPDATE;
    IF FOUND THEN
        INSERT INTO tidegate.journal AS j (delivery_id, name, result)
        VALUES (claim_id, note, outcome)
        ON CONFLICT (delivery_id, name) DO UPDATE SET result = j.result
        RETURNING result INTO kept;
    END IF;
    RETURN kept;
END $$;

CREATE FUNCTION tidegate.answer(origin text, waits bigint, note text, outcome bytea, now bigint)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    woken text;
BEGIN
    PERFORM FROM tidegate.delivery WHERE id = waits FOR UPDATE;
    DELETE FROM tidegate.waiter WHERE delivery_id = waits AND name = note;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    INSERT INTO tidegate.journal (delivery_id, name, result) VALUES (waits, note, outcome)
    ON CONFLICT DO NOTHING;
    UPDATE tidegate.delivery SET due_at = now WHERE id = waits AND NOT leased
    RETURNING step INTO woken;
    PERFORM tidegate.tell(origin, ARRAY[woken]);
END $$;

-- Move a delivery to the dead letters; the journal stays, for the day it is redriven. Returns how
-- many of the oldest letters were dropped, NULL when the claim is void.
CREATE FUNCTION tidegate.bury(
    origin text, claim_id bigint, claim_fence integer, claim_step text, claim_lane text,
    said text, stack text, now bigint, keep integer
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    dropped bigint := 0;
BEGIN
    IF claim_lane IS NOT NULL THEN
        PERFORM tidegate.take_lane(claim_step, claim_lane);
    END IF;
    WITH gone AS (
        DELETE FROM tidegate.delivery WHERE id = claim_id AND fence = claim_fence RETURNING *
    )
    INSERT INTO tidegate.dead (
        step, topic, payload, error, stack, attempts, died_at, trace_id, delivery_id, fence, lane
    )
    SELECT step, topic, payload, said, bury.stack, attempt, now, trace_id, id, fence, lane
    FROM gone;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    DELETE FROM tidegate.waiter WHERE delivery_id = claim_id;
    IF claim_lane IS NOT NULL THEN
        PERFORM tidegate.tell(
            origin, tidegate.free_lanes(ARRAY[claim_step], ARRAY[claim_lane])
        );
    END IF;
    IF (SELECT max(id) - min(id) FROM tidegate.dead) >= keep THEN
        dropped := tidegate.purge_dead(ARRAY(
            SELECT id FROM tidegate.dead ORDER BY id DESC OFFSET keep
        ));
    END IF;
    RETURN dropped;
END $$;

-- Delete dead letters (NULL: all) and what their runs had recorded.
CREATE FUNCTION tidegate.purge_dead(dead_ids bigint[]) RETURNS bigint LANGUAGE sql AS $$
    WITH locked AS (
        SELECT id FROM tidegate.dead WHERE dead_ids IS NULL OR id = ANY (dead_ids)
        ORDER BY id FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM tidegate.dead WHERE id IN (SELECT id FROM locked) RETURNING delivery_id
    ), forgotten AS (
        DELETE FROM tidegate.journal WHERE delivery_id IN (SELECT delivery_id FROM gone)
    )
    SELECT count(*) FROM gone
$$;

-- Make dead letters (NULL: all) due again: the same invocations, with all their attempts. In a lane
-- one goes before those that came later, but not before one that is being handled.
CREATE FUNCTION tidegate.redrive(origin text, dead_ids bigint[], now bigint)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    raised bigint;
    lanes text[];
    steps text[];
BEGIN
    SELECT array_agg(DISTINCT 'lane ' || step || ' ' || lane), array_agg(DISTINCT step)
    INTO lanes, steps
    FROM tidegate.dead WHERE dead_ids IS NULL OR id = ANY (dead_ids);
    lanes := array_remove(lanes, NULL);
    IF cardinality(lanes) > 48 THEN
        PERFORM tidegate.take_locks(ARRAY['store'], ARRAY[true]);
    ELSIF cardinality(lanes) > 0 THEN
        PERFORM tidegate.take_locks(
            'store'::text || lanes, false || array_fill(true, ARRAY[cardinality(lanes)])
        );
    END IF;
    WITH locked AS (
        SELECT id FROM tidegate.dead
        WHERE (dead_ids IS NULL OR id = ANY (dead_ids))
            -- One that died since the lanes were looked up is left.
            AND (lane IS NULL OR cardinality(lanes) > 48
                OR 'lane ' || step || ' ' || lane = ANY (lanes))
        ORDER BY id FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM tidegate.dead WHERE id IN (SELECT id FROM locked) RETURNING *
    ), numbered AS (
        SELECT *, coalesce(delivery_id, nextval(
            pg_get_serial_sequence('tidegate.delivery', 'id')
        )) AS number FROM gone
    )
    INSERT INTO tidegate.delivery (
        id, step, topic, payload, due_at, trace_id, fence, lane, ready
    )
    SELECT number, step, topic, payload, now, trace_id, fence, lane,
        lane IS NULL OR number = min(number) OVER (PARTITION BY step, lane) AND NOT EXISTS (
            SELECT FROM tidegate.delivery AS d
            WHERE d.step = n.step AND d.lane = n.lane AND d.ready
        )
    FROM numbered AS n ORDER BY number;
    GET DIAGNOSTICS raised = ROW_COUNT;
    PERFORM tidegate.tell(origin, steps);
    RETURN raised;
END $$;

-- The password's hash is the broker's to check, the token's is ours. Both NULL: the device was
-- seen on its topic, its account is the operator's.
CREATE TABLE IF NOT EXISTS devices (
    tenant TEXT NOT NULL,
    device TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    password_hash TEXT,
    token_hash BLOB UNIQUE,
    PRIMARY KEY (tenant, device)
) STRICT;

-- Grows with every change, by whatever process.
CREATE TABLE IF NOT EXISTS version (number INTEGER NOT NULL) STRICT;
INSERT INTO version SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM version);

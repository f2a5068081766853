-- One row a Sparkplug edge node: its session as far as it is followed.
CREATE TABLE IF NOT EXISTS sparkplug_nodes (
    tenant TEXT NOT NULL,
    edge TEXT NOT NULL,
    bd_seq INTEGER,
    birth_digest INTEGER,
    expected INTEGER,
    PRIMARY KEY (tenant, edge)
) STRICT, WITHOUT ROWID;

-- What the last birth of a node (device '') or of a device below it named; NULL: it has died.
CREATE TABLE IF NOT EXISTS sparkplug_births (
    tenant TEXT NOT NULL,
    edge TEXT NOT NULL,
    device TEXT NOT NULL,
    metrics TEXT,
    PRIMARY KEY (tenant, edge, device)
) STRICT, WITHOUT ROWID;

INSERT INTO devices (tenant, device, created_at_ms, password_hash, token_hash)
VALUES (:tenant, :device, :created_at_ms, :password_hash, :token_hash)
ON CONFLICT (tenant, device) DO UPDATE SET
    password_hash = excluded.password_hash,
    token_hash = excluded.token_hash

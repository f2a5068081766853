"""Rules for payloads of others that ship with Tidegate: one TOML file for each kind."""

CREATE TABLE IF NOT EXISTS users (
	name     TEXT PRIMARY KEY,
	password TEXT NOT NULL,                           -- argon2id
	rooms    TEXT NOT NULL CHECK (json_valid(rooms))  -- array of names
) STRICT;
CREATE TABLE IF NOT EXISTS revocations (
	revocation TEXT NOT NULL CHECK (json_valid(revocation)),
	until      INTEGER NOT NULL                       -- Unix seconds, from then on it may be forgotten
) STRICT;
CREATE INDEX IF NOT EXISTS revocations_until ON revocations (until);

CREATE TABLE IF NOT EXISTS users (
	username TEXT PRIMARY KEY,
	password TEXT NOT NULL,                              -- argon2id
	channels TEXT NOT NULL CHECK (json_valid(channels))  -- array of names
) STRICT;

CREATE TABLE IF NOT EXISTS users (
	username text PRIMARY KEY,
	password text NOT NULL,  -- argon2id
	channels text[] NOT NULL
)

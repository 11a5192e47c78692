CREATE TABLE IF NOT EXISTS users (
	username VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY, -- the normal form, compared exactly
	password VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, -- argon2id, as a PHC string
	channels JSON NOT NULL -- array of names
)

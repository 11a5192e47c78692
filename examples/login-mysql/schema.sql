CREATE TABLE IF NOT EXISTS users (
	username VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY,
	password BINARY(32) NOT NULL, -- argon2id
	salt     BINARY(16) NOT NULL,
	channels JSON NOT NULL        -- array of names
)

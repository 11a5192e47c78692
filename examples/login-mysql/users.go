package main

import (
	"context"
	"database/sql"
	_ "embed"
	"encoding/json"
	"errors"

	"github.com/socketcluster-go/socketcluster/auth/password"
	"github.com/socketcluster-go/socketcluster/login"
)

//go:embed schema.sql
var schema string

// users are the users in the database.
type users struct {
	db        *sql.DB
	passwords password.Hasher
}

// claims are the claims in the token of a user.
type claims struct {
	Username string   `json:"username"`
	Channels []string `json:"channels"`
}

func openUsers(ctx context.Context, db *sql.DB) (*users, error) {
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return nil, err
	}
	return &users{db: db}, nil
}

// check returns the claims of the user with a name and password, or
// login.ErrInvalidCredentials. Names are stored and looked up in the spelling
// by which the gate counts attempts.
func (u *users) check(ctx context.Context, username, password string) (claims, error) {
	var c claims
	var hash string
	var channels []byte
	err := u.db.QueryRowContext(ctx, `SELECT username, password, channels FROM users WHERE username = ?`, login.NormalName(username)).
		Scan(&c.Username, &hash, &channels)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return claims{}, err
	}
	// For an unknown name the hash is empty, which takes as long.
	right, err := u.passwords.Verify(ctx, hash, password)
	if err != nil {
		return claims{}, err
	}
	if !right {
		return claims{}, login.ErrInvalidCredentials
	}
	return c, json.Unmarshal(channels, &c.Channels)
}

func (u *users) add(ctx context.Context, username, password string, channels []string) error {
	if password == "" {
		return errors.New("there is no password on the standard input")
	}
	list, err := json.Marshal(channels)
	if err != nil {
		return err
	}
	hash, err := u.passwords.Hash(ctx, password)
	if err != nil {
		return err
	}
	_, err = u.db.ExecContext(ctx, `INSERT INTO users (username, password, channels) VALUES (?, ?, ?)`, login.NormalName(username), hash, string(list))
	return err
}

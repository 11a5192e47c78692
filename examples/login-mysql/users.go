package main

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"database/sql"
	_ "embed"
	"encoding/json"
	"errors"
	"runtime"

	"golang.org/x/crypto/argon2"
)

//go:embed schema.sql
var schema string

// errCredentials does not tell whether the name or the password was wrong.
var errCredentials = errors.New("invalid credentials")

// users are the users in the database.
type users struct {
	db    *sql.DB
	slots chan struct{} // each hash takes 19 MiB: only a few at a time
}

// claims are what the token of a user says.
type claims struct {
	Username string   `json:"username"`
	Channels []string `json:"channels"`
}

func openUsers(ctx context.Context, db *sql.DB) (*users, error) {
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return nil, err
	}
	return &users{db: db, slots: make(chan struct{}, runtime.NumCPU())}, nil
}

// check returns the claims of the user with a name and password, or
// errCredentials.
func (u *users) check(ctx context.Context, username, password string) (claims, error) {
	var c claims
	var hash, salt, channels []byte
	err := u.db.QueryRowContext(ctx, `SELECT username, password, salt, channels FROM users WHERE username = ?`, username).
		Scan(&c.Username, &hash, &salt, &channels)
	known := !errors.Is(err, sql.ErrNoRows)
	if known && err != nil {
		return claims{}, err
	}
	// It takes as long for a name that nobody has.
	right := subtle.ConstantTimeCompare(u.hash(password, salt), hash) == 1
	if !known || !right {
		return claims{}, errCredentials
	}
	return c, json.Unmarshal(channels, &c.Channels)
}

func (u *users) add(ctx context.Context, username, password string, channels []string) error {
	list, err := json.Marshal(channels)
	if err != nil {
		return err
	}
	salt := make([]byte, 16)
	rand.Read(salt)
	_, err = u.db.ExecContext(ctx, `INSERT INTO users (username, password, salt, channels) VALUES (?, ?, ?, ?)`,
		username, u.hash(password, salt), salt, string(list))
	return err
}

// hash is argon2id with the first of the parameters that the OWASP Password
// Storage Cheat Sheet recommends: 2 passes over 19 MiB.
func (u *users) hash(password string, salt []byte) []byte {
	u.slots <- struct{}{}
	defer func() { <-u.slots }()
	return argon2.IDKey([]byte(password), salt, 2, 19*1024, 1, 32)
}

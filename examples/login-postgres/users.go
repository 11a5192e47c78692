package main

import (
	"context"
	_ "embed"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/socketcluster-go/socketcluster/auth/password"
	"github.com/socketcluster-go/socketcluster/login"
)

//go:embed schema.sql
var schema string

// user is a row of the table, and the claims in the token of the user.
type user struct {
	Username string   `json:"username"`
	Channels []string `json:"channels"`

	hash string
}

// users are the users in the database.
type users struct {
	pool      *pgxpool.Pool
	passwords password.Hasher
}

func openUsers(ctx context.Context, pool *pgxpool.Pool) (*users, error) {
	if _, err := pool.Exec(ctx, schema); err != nil {
		return nil, err
	}
	return &users{pool: pool}, nil
}

// check returns the user with a name and password, or
// login.ErrInvalidCredentials. An unknown name takes as long as a wrong
// password.
func (u *users) check(ctx context.Context, username, password string) (user, error) {
	found, err := u.find(ctx, username)
	if err != nil {
		return user{}, err
	}
	right, err := u.passwords.Verify(ctx, found.hash, password)
	if err == nil && !right {
		err = login.ErrInvalidCredentials
	}
	return found, err
}

// find returns a user without a hash if nobody has the name.
func (u *users) find(ctx context.Context, username string) (user, error) {
	if strings.ContainsRune(username, 0) {
		return user{}, nil // text in PostgreSQL cannot contain it
	}
	found := user{Username: login.NormalName(username)} // the gate counts by it, too
	err := u.pool.QueryRow(ctx, `SELECT password, channels FROM users WHERE username = $1`, found.Username).Scan(&found.hash, &found.Channels)
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	return found, err
}

func (u *users) add(ctx context.Context, added user, password string) error {
	if password == "" {
		return errors.New("there is no password on the standard input")
	}
	hash, err := u.passwords.Hash(ctx, password)
	if err != nil {
		return err
	}
	_, err = u.pool.Exec(ctx, `INSERT INTO users (username, password, channels) VALUES ($1, $2, $3)`, login.NormalName(added.Username), hash, added.Channels)
	return err
}

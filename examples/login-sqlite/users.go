package main

import (
	"context"
	"database/sql"
	_ "embed"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"runtime"

	_ "modernc.org/sqlite" // the driver "sqlite", which needs no C compiler

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

func openUsers(ctx context.Context, file string) (*users, error) {
	if err := keepPrivate(file); err != nil {
		return nil, err
	}
	// With a write-ahead log, logins are possible while a user is being added;
	// a second writer waits for the first one.
	pragmas := url.Values{"_pragma": {"journal_mode(wal)", "busy_timeout(5000)"}}
	db, err := sql.Open("sqlite", "file:"+url.PathEscape(file)+"?"+pragmas.Encode())
	if err != nil {
		return nil, err
	}
	if _, err := db.ExecContext(ctx, schema); err != nil {
		db.Close()
		return nil, err
	}
	return &users{db: db}, nil
}

// keepPrivate makes the file, if there is none, so that nobody else on the
// machine can read the hashes. By default SQLite would let them. It gives its
// write-ahead log the permissions of the file.
func keepPrivate(file string) error {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o026 != 0 {
		slog.Warn("others can read or change the file of the users", "file", file, "mode", info.Mode().String())
	}
	return err
}

func (u *users) close() error { return u.db.Close() }

// check returns the claims of the user with a name and password, or
// login.ErrInvalidCredentials. An unknown name takes as long as a wrong
// password.
func (u *users) check(ctx context.Context, username, password string) (claims, error) {
	c := claims{Username: login.NormalName(username)} // the gate counts by it, too
	var hash, channels string
	err := u.db.QueryRowContext(ctx, `SELECT password, channels FROM users WHERE username = ?`, c.Username).Scan(&hash, &channels)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return claims{}, err
	}
	right, err := u.passwords.Verify(ctx, hash, password)
	switch {
	case err != nil:
		return claims{}, err
	case !right:
		return claims{}, login.ErrInvalidCredentials
	}
	return c, json.Unmarshal([]byte(channels), &c.Channels)
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

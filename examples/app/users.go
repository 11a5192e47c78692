package main

import (
	"context"
	"database/sql"
	_ "embed"
	"encoding/json"
	"errors"
	"net/url"
	"os"

	_ "modernc.org/sqlite" // the driver "sqlite", which needs no C compiler

	"github.com/socketcluster-go/socketcluster/auth/password"
	"github.com/socketcluster-go/socketcluster/login"
)

//go:embed schema.sql
var schema string

// openDatabase opens the database, and makes it if there is none. Nobody else on
// the machine may read the hashes in it.
func openDatabase(ctx context.Context, file string) (*sql.DB, error) {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	f.Close()
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
	return db, nil
}

// users are the users in the database.
type users struct {
	db        *sql.DB
	passwords password.Hasher // a bounded number of argon2id hashes at once
}

// user is a person who may log in.
type user struct {
	name  string
	rooms []string
}

// check returns the user with a name, in any spelling, and a password, or
// login.ErrInvalidCredentials. An unknown name takes as long as a wrong
// password. Call it through a login.Gate.
func (u *users) check(ctx context.Context, name, password string) (user, error) {
	found := user{name: login.NormalName(name)} // the gate counts by it, too
	var hash, rooms string
	err := u.db.QueryRowContext(ctx, `SELECT password, rooms FROM users WHERE name = ?`, found.name).Scan(&hash, &rooms)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return user{}, err
	}
	right, err := u.passwords.Verify(ctx, hash, password)
	switch {
	case err != nil:
		return user{}, err
	case !right:
		return user{}, login.ErrInvalidCredentials
	}
	return found, json.Unmarshal([]byte(rooms), &found.rooms)
}

// set adds a user, or replaces one.
func (u *users) set(ctx context.Context, name, password string, rooms []string) error {
	if login.NormalName(name) == "" || password == "" {
		return errors.New("a user needs a name, and a password on the standard input")
	}
	list, err := json.Marshal(append([]string{}, rooms...)) // never null
	if err != nil {
		return err
	}
	hash, err := u.passwords.Hash(ctx, password)
	if err != nil {
		return err
	}
	_, err = u.db.ExecContext(ctx, `INSERT OR REPLACE INTO users (name, password, rooms) VALUES (?, ?, ?)`, login.NormalName(name), hash, string(list))
	return err
}

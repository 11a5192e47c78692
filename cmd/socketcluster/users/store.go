package users

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"

	_ "modernc.org/sqlite" // the driver "sqlite", in pure Go

	"github.com/socketcluster-go/socketcluster/auth/password"
	"github.com/socketcluster-go/socketcluster/login"
)

// User is a person who may log in.
type User struct {
	Username string
	Channels []string // private channels that the user may use
}

// Store is a database of users.
type Store struct {
	db     *sql.DB
	keep   *sql.Conn // a database in memory lives as long as a connection to it
	hasher hasher
}

// hasher has the methods of [password.Hasher] that a Store needs.
type hasher interface {
	Hash(ctx context.Context, password string) (string, error)
	Verify(ctx context.Context, hash, password string) (bool, error)
}

const schema = `
CREATE TABLE IF NOT EXISTS users (
	username TEXT PRIMARY KEY,
	password TEXT NOT NULL, -- argon2id, as a PHC string
	channels TEXT NOT NULL  -- JSON array of names
) STRICT`

// Open opens the database in a file, and creates the file if there is none.
// With an empty name, the database is in memory and ends with the Store.
func Open(ctx context.Context, file string) (*Store, error) {
	name, err := dataSource(file)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", name)
	if err != nil {
		return nil, fmt.Errorf("users: %w", err)
	}
	s := &Store{db: db, hasher: &password.Hasher{}}
	if s.keep, err = db.Conn(ctx); err == nil {
		_, err = db.ExecContext(ctx, schema)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("users: %w", err), s.Close())
	}
	return s, nil
}

// dataSource returns the name of a file for the driver.
func dataSource(file string) (string, error) {
	query := url.Values{"_pragma": {"busy_timeout(5000)"}} // milliseconds
	u := url.URL{Scheme: "file"}
	if file == "" {
		// All connections to one name share one database.
		u.Opaque = "/" + rand.Text()
		query.Set("vfs", "memdb")
	} else {
		// By default SQLite would let everybody on the machine read the hashes.
		f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return "", fmt.Errorf("users: %w", err)
		}
		if err := f.Close(); err != nil {
			return "", fmt.Errorf("users: %w", err)
		}
		u.Opaque = (&url.URL{Path: file}).EscapedPath()
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// Close closes the database.
func (s *Store) Close() error {
	if s.keep != nil {
		s.keep.Close()
	}
	return s.db.Close()
}

// Count returns the number of users.
func (s *Store) Count(ctx context.Context) (n int, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT count(*) FROM users`).Scan(&n)
	return n, err
}

// Add adds a user, by the normal form of the name. It fails if that is taken.
func (s *Store) Add(ctx context.Context, u User, password string) error {
	hash, err := s.hasher.Hash(ctx, password)
	if err != nil {
		return err
	}
	channels, err := json.Marshal(u.Channels)
	if err != nil {
		return err
	}
	_, err = s.db.ExecContext(ctx, `INSERT INTO users (username, password, channels) VALUES (?, ?, ?)`,
		login.NormalName(u.Username), hash, string(channels))
	return err
}

// Check returns the user with a name, in any spelling, and a password, or
// [login.ErrInvalidCredentials]. Any other error comes from the database, from
// package auth/password, or from ctx.
func (s *Store) Check(ctx context.Context, username, password string) (User, error) {
	u, hash, err := s.find(ctx, username)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return User{}, err
	}
	// For an unknown name the hash is empty, which takes as long.
	good, err := s.hasher.Verify(ctx, hash, password)
	switch {
	case err != nil:
		return User{}, err
	case !good:
		return User{}, login.ErrInvalidCredentials
	}
	return u, nil
}

// find returns a user and the hash of the password.
func (s *Store) find(ctx context.Context, username string) (u User, hash string, err error) {
	var channels string
	row := s.db.QueryRowContext(ctx, `SELECT username, password, channels FROM users WHERE username = ?`, login.NormalName(username))
	if err := row.Scan(&u.Username, &hash, &channels); err != nil {
		return User{}, "", err
	}
	if err := json.Unmarshal([]byte(channels), &u.Channels); err != nil {
		return User{}, "", fmt.Errorf("users: the channels of a user are not a JSON array of names: %w", err)
	}
	return u, hash, nil
}

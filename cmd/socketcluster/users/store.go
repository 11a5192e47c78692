package users

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

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
	rows   table
	hasher hasher
}

// table keeps a row for each user, by name. The methods may be called
// concurrently.
type table interface {
	add(name string, row []byte) error        // errTaken if there is a row
	find(name string) (row []byte, err error) // nil if there is none
	count() (int, error)
	close() error
}

// row is the JSON of a row.
type row struct {
	Password string   `json:"password"` // argon2id, as a PHC string
	Channels []string `json:"channels"`
}

var (
	errTaken  = errors.New("users: the name is taken")
	errNoName = errors.New("users: a user must have a name")
)

// hasher has the methods of [password.Hasher] that a Store needs.
type hasher interface {
	Hash(ctx context.Context, password string) (string, error)
	Verify(ctx context.Context, hash, password string) (bool, error)
}

// Open opens the database in a file, and creates the file if there is none, for
// this user of the machine alone. With an empty name, the database is in memory
// and ends with the Store. It fails if another process has the file open for a
// second longer. Errors name the file.
func Open(ctx context.Context, file string) (*Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("users: %w", err)
	}
	var rows table = newMemory()
	if file != "" {
		var err error
		if rows, err = openFile(file); err != nil {
			return nil, fmt.Errorf("users: %w", err)
		}
	}
	return &Store{rows: rows, hasher: &password.Hasher{}}, nil
}

// Close closes the database.
func (s *Store) Close() error { return s.rows.close() }

// Count returns the number of users.
func (s *Store) Count(context.Context) (int, error) { return s.rows.count() }

// Add adds a user, by the normal form of the name. It fails if that is empty or
// taken.
func (s *Store) Add(ctx context.Context, u User, password string) error {
	name := login.NormalName(u.Username)
	if name == "" {
		return errNoName
	}
	hash, err := s.hasher.Hash(ctx, password)
	if err != nil {
		return err
	}
	text, err := json.Marshal(row{hash, u.Channels})
	if err != nil {
		return err
	}
	return s.rows.add(name, text)
}

// Check returns the user with a name, in any spelling, and a password, or
// [login.ErrInvalidCredentials]. Any other error comes from the database, from
// package auth/password, or from ctx.
func (s *Store) Check(ctx context.Context, username, password string) (User, error) {
	u, hash, err := s.find(username)
	if err != nil {
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

// find returns a user and the hash of the password, or nothing for a name that
// nobody has.
func (s *Store) find(username string) (u User, hash string, err error) {
	name := login.NormalName(username)
	text, err := s.rows.find(name)
	if text == nil || err != nil {
		return User{}, "", err
	}
	var r row
	if err := json.Unmarshal(text, &r); err != nil {
		return User{}, "", fmt.Errorf("users: the row of a user is not the JSON that it should be: %w", err)
	}
	return User{name, r.Channels}, r.Password, nil
}

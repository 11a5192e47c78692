package main

import (
	"context"
	"errors"

	"github.com/socketcluster-go/socketcluster/auth/password"
	"github.com/socketcluster-go/socketcluster/login"
)

// users are alice and bob, in place of a database. They share a password.
type users struct {
	passwords password.Hasher
	hash      string // argon2id
}

func newUsers(ctx context.Context, secret string) (*users, error) {
	if secret == "" {
		return nil, errors.New("set PASSWORD: it must not be empty")
	}
	u := new(users)
	var err error
	u.hash, err = u.passwords.Hash(ctx, secret)
	return u, err
}

// check returns the name of the user who has this name, in any spelling, and
// password, or login.ErrInvalidCredentials. Call it through a login.Gate.
func (u *users) check(ctx context.Context, name, secret string) (string, error) {
	name = login.NormalName(name)
	hash := "" // matches no password, but takes as long to verify
	if name == "alice" || name == "bob" {
		hash = u.hash
	}
	right, err := u.passwords.Verify(ctx, hash, secret)
	if err == nil && !right {
		err = login.ErrInvalidCredentials
	}
	return name, err
}

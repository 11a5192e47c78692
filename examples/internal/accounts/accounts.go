// Package accounts knows the users of the examples that are about something
// else. The examples whose names begin with login- keep them in databases.
package accounts

import (
	"context"
	"errors"

	"github.com/socketcluster-go/socketcluster/auth/password"
	"github.com/socketcluster-go/socketcluster/login"
)

// Credentials are what a login sends.
type Credentials struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// Accounts are users in memory. They never change and may be used by many
// goroutines.
type Accounts struct {
	passwords password.Hasher
	hashes    map[string]string // by the normal form of the name
}

// New makes the accounts of these names, which all have the same password. It must
// not be empty: everybody would know it.
func New(ctx context.Context, password string, names ...string) (*Accounts, error) {
	if password == "" {
		return nil, errors.New("the password of the accounts is empty; set PASSWORD")
	}
	a := &Accounts{hashes: make(map[string]string)}
	for _, name := range names {
		hash, err := a.passwords.Hash(ctx, password)
		if err != nil {
			return nil, err
		}
		a.hashes[login.NormalName(name)] = hash
	}
	return a, nil
}

// Check returns the name of the user who has this name, in any spelling, and
// password, else login.ErrInvalidCredentials or an error of package password. It is
// to be called through a login.Gate, which limits how often.
func (a *Accounts) Check(ctx context.Context, c Credentials) (name string, err error) {
	name = login.NormalName(c.Username)
	right, err := a.passwords.Verify(ctx, a.hashes[name], c.Password)
	if err == nil && !right {
		err = login.ErrInvalidCredentials
	}
	return name, err
}

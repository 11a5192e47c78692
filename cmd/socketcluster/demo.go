package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/browser"
	"github.com/socketcluster-go/socketcluster/cmd/socketcluster/users"
)

// demo is everything that the command serves.
type demo struct {
	users    *users.Store
	sockets  *socketcluster.Server
	handler  http.Handler
	accounts []account // the demo users that were made at this start
}

// account is what somebody needs to log in as a demo user.
type account struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// demoUsers differ in one channel, so that one can see what a refusal is like.
var demoUsers = []users.User{
	{Username: "alice", Channels: []string{"chat", "user/alice", "room/staff"}},
	{Username: "bob", Channels: []string{"chat", "user/bob"}},
}

// newDemo puts the parts together.
func newDemo(ctx context.Context, o options, log *slog.Logger) (*demo, error) {
	client, kind := browser.Handler(), "browser"
	if o.clientJS != "" {
		source, err := os.ReadFile(o.clientJS)
		if err != nil {
			return nil, err
		}
		client, kind = script(source), "stock"
	}
	store, err := users.Open(ctx, o.db)
	if err != nil {
		return nil, err
	}
	d := &demo{users: store}
	if d.accounts, err = addDemoUsers(ctx, store); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	d.sockets, err = socketcluster.New(socketcluster.Config{
		AuthKey:           o.authKey,
		AuthDefaultExpiry: o.tokenExpiry,
		TokenRenewal:      socketcluster.TokenRenewal{Every: o.tokenRenewal, ExpiresIn: o.tokenExpiry},
		Logger:            log,
	})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	applyRules(d.sockets)
	in := &login{users: store, tokens: d.sockets.Auth(), log: log}
	in.register(d.sockets)

	facts := pageConfig{Client: kind, TokenName: tokenName, Users: []account{}}
	if o.db == "" {
		// The page offers them to everybody. A file outlives the demo.
		facts.Users = d.accounts
	}
	mux := http.NewServeMux()
	mux.Handle(socketcluster.DefaultPath, d.sockets)
	mux.Handle("/", newSite(facts, client, in))
	d.handler = mux
	return d, nil
}

// addDemoUsers adds the demo users to a database that has no users.
func addDemoUsers(ctx context.Context, store *users.Store) ([]account, error) {
	if n, err := store.Count(ctx); n > 0 || err != nil {
		return nil, err
	}
	var accounts []account
	for _, u := range demoUsers {
		a := account{Username: u.Username, Password: rand.Text()[:12]}
		if err := store.Add(ctx, u, a.Password); err != nil {
			return nil, fmt.Errorf("add the demo user %s: %w", u.Username, err)
		}
		accounts = append(accounts, a)
	}
	return accounts, nil
}

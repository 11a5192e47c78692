package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/browser"
	"github.com/socketcluster-go/socketcluster/cluster"
	"github.com/socketcluster-go/socketcluster/cmd/socketcluster/users"
)

// demo has everything that the command serves.
type demo struct {
	users    *users.Store
	sockets  *socketcluster.Server
	handler  http.Handler
	accounts []account // the demo users that were created at this start
	stopKeys func()    // stops watching the key file, if there is one
	ops      *ops
	stopOps  func() // stops serving operators

	node        *cluster.Node        // nil if nothing needs one
	revocations *cluster.Revocations // nil if there are none
}

// account is what a visitor needs to log in as a demo user.
type account struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// demoUsers differ in one channel, so that visitors can see a refusal.
var demoUsers = []users.User{
	{Username: "alice", Channels: []string{"chat", "user/alice", "room/staff"}},
	{Username: "bob", Channels: []string{"chat", "user/bob"}},
}

// newDemo makes the parts and connects them.
func newDemo(ctx context.Context, o options, log *slog.Logger) (_ *demo, err error) {
	set, byDefault, err := o.rules()
	if err != nil {
		return nil, err
	}
	present, err := o.presencePatterns()
	if err != nil {
		return nil, err
	}
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
		return nil, fmt.Errorf("the setting db: %w", err)
	}
	if o.db != "" {
		warnIfOpen(o.db, log)
	}
	d := &demo{users: store, stopKeys: func() {}, stopOps: func() {}}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	cfg := o.server
	cfg.Auth.Key = o.authKey
	cfg.Auth.DefaultExpiry = o.tokenExpiry
	if o.tokenRenewal != 0 {
		cfg.TokenRenewal = socketcluster.TokenRenewal{Every: o.tokenRenewal, ExpiresIn: o.tokenExpiry}
	}
	cfg.Logger = log
	if o.authKeyFile != "" {
		var engine *auth.JWT
		options := auth.Options{DefaultExpiry: o.tokenExpiry, ClockTolerance: cfg.Auth.ClockTolerance, MaxTokenSize: cfg.Limits.TokenSize}
		if engine, d.stopKeys, err = o.engine(options, log); err != nil {
			return nil, err
		}
		if _, err := engine.Sign(ctx, struct{}{}); err != nil {
			return nil, fmt.Errorf("%s: the demo cannot sign tokens with it: %w", o.authKeyFile, err)
		}
		cfg.Auth.Key, cfg.Auth.DefaultExpiry, cfg.Auth.ClockTolerance, cfg.AuthEngine = "", 0, 0, engine
	}
	if o.cluster.isCluster() && cfg.Auth.Key == "" && cfg.AuthEngine == nil {
		return nil, errClusterKey
	}
	if err := d.startNode(ctx, &o, &cfg, log); err != nil {
		return nil, err
	}
	if d.sockets, err = socketcluster.New(cfg); err != nil {
		return nil, o.named(err)
	}
	if o.cluster.failClosed {
		d.failClosed(set)
	}
	applyRules(d.sockets, set, log)
	if o.cluster.presence != "" {
		if err := d.keepPresence(present, set); err != nil {
			return nil, err
		}
	}
	if d.revocations != nil {
		d.handleLogoutEverywhere(o.tokenExpiry)
	}
	newPassword, err := o.demoPasswords()
	if err != nil {
		return nil, err
	}
	if d.accounts, err = addDemoUsers(ctx, store, newPassword); err != nil {
		return nil, err
	}
	in, err := newLoginFlows(d.sockets, store, log)
	if err != nil {
		return nil, err
	}

	facts := pageConfig{Client: kind, TokenName: tokenName, Users: []account{}, DirectMessages: byDefault}
	if o.db == "" {
		// The page shows them to everybody, but not if the users are in a file,
		// which outlives the demo.
		facts.Users = d.accounts
	}
	mux := http.NewServeMux()
	mux.Handle(socketcluster.DefaultPath, d.sockets)
	mux.Handle("/", newSite(facts, client, in))
	d.handler = mux
	if old := cfg.Protocol1Path; old != "" {
		d.handler = atPath(old, d.sockets, mux)
	}
	return d, nil
}

// startNode starts the node, if anything needs one, and serves operators, who see what
// it waits for.
func (d *demo) startNode(ctx context.Context, o *options, cfg *socketcluster.Config, log *slog.Logger) (err error) {
	if d.node, err = o.startNode(ctx, log); err != nil {
		return err
	}
	d.ops = newOps(ctx, d.node, log)
	stop, err := d.ops.serve(o.metricsAddr)
	if err != nil {
		return err
	}
	d.stopOps = stop
	if d.node == nil {
		return nil
	}
	cfg.Broker = d.node.Broker()
	if o.cluster.revocations {
		if d.revocations, err = o.loadRevocations(ctx, d.node, log); err != nil {
			return err
		}
		cfg.Revocations = d.revocations
	}
	return nil
}

// atPath serves one path by a handler of its own. It may be any path, even one
// that a mux would take for a pattern, or that a mux already has.
func atPath(path string, there, elsewhere http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := elsewhere
		if r.URL.EscapedPath() == path {
			h = there
		}
		h.ServeHTTP(w, r)
	})
}

// close closes everything in the demo except its sockets.
func (d *demo) close() error {
	d.stopKeys()
	if d.node != nil {
		d.node.Close()
	}
	d.stopOps()
	return d.users.Close()
}

// demoPasswordSize is the length of the passwords of demo users: 60 bits in base32.
const demoPasswordSize = 12

// demoPasswords returns what makes the passwords of demo users. Those of a node of a
// cluster follow from the key of tokens, so that they are the same on all nodes.
func (o *options) demoPasswords() (func(username string) string, error) {
	if !o.cluster.isCluster() {
		return func(string) string { return rand.Text()[:demoPasswordSize] }, nil
	}
	key := []byte(o.authKey)
	if o.authKeyFile != "" {
		text, err := readLimited(o.authKeyFile, maxKeyFile)
		if err != nil {
			return nil, err
		}
		key = bytes.TrimSpace(text)
	}
	return func(username string) string {
		mac := hmac.New(sha256.New, key)
		_, _ = io.WriteString(mac, "the password of the demo user "+username) // no token begins with that
		return base32.StdEncoding.EncodeToString(mac.Sum(nil))[:demoPasswordSize]
	}, nil
}

// addDemoUsers adds the demo users to a database that has no users.
func addDemoUsers(ctx context.Context, store *users.Store, newPassword func(username string) string) ([]account, error) {
	if n, err := store.Count(ctx); n > 0 || err != nil {
		return nil, err
	}
	var accounts []account
	for _, u := range demoUsers {
		a := account{Username: u.Username, Password: newPassword(u.Username)}
		if err := store.Add(ctx, u, a.Password); err != nil {
			return nil, fmt.Errorf("add the demo user %s: %w", u.Username, err)
		}
		accounts = append(accounts, a)
	}
	return accounts, nil
}

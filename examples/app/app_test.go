package main

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/auth/revoke/revoketest"
	"github.com/socketcluster-go/socketcluster/login"
	"github.com/socketcluster-go/socketcluster/wire"
)

const (
	key    = "a key of the test, with 32 bytes or more"
	secret = "correct horse"
)

// newDatabase makes a database with alice, who may enter room/staff, and bob.
func newDatabase(t *testing.T) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "app.db")
	for _, args := range []string{"alice staff", "bob"} {
		command := append([]string{"adduser", "-db", file}, strings.Fields(args)...)
		if err := run(t.Context(), command, strings.NewReader(secret+"\n"), io.Discard); err != nil {
			t.Fatal(err)
		}
	}
	return file
}

func open(t *testing.T, file string) *sql.DB {
	t.Helper()
	db, err := openDatabase(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// start runs the program on a database, as serve does.
func start(t *testing.T, file string) *httptest.Server {
	t.Helper()
	db := open(t, file)
	r, err := openRevocations(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	a, err := newApp(settings{key: key, tokenLife: time.Hour}, &users{db: db}, r, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	site := httptest.NewServer(a.handler())
	t.Cleanup(func() {
		a.sockets.Close()
		site.Close()
	})
	return site
}

func TestRooms(t *testing.T) {
	site := start(t, newDatabase(t))
	guest, alice, bob := connect(t, site, ""), connect(t, site, ""), connect(t, site, "")
	alice.login(" ALICE ") // one user with alice
	bob.login("bob")
	for _, c := range []struct {
		name                  string
		by                    *client
		channel               string
		mayListen, mayPublish bool
	}{
		{"a guest", guest, "lobby", true, false},
		{"a guest", guest, "room/staff", false, false},
		{"a guest", guest, "user/", false, false},
		{"alice", alice, "lobby", true, true},
		{"alice", alice, "room/staff", true, true},
		{"alice", alice, "room/other", false, false},
		{"alice", alice, "user/alice", true, false},
		{"alice", alice, "user/alice/notes", true, true},
		{"alice", alice, "user/bob", false, false},
		{"bob", bob, "lobby", true, true},
		{"bob", bob, "room/staff", false, false},
		{"bob", bob, "user/alice", false, false},
		{"bob", bob, "user/alice/notes", false, false},
		{"bob", bob, "else", false, false},
	} {
		if err := c.by.subscribe(c.channel); (err == nil) != c.mayListen || err != nil && !errors.Is(err, &wire.Error{Name: "SubscribeError"}) {
			t.Errorf("%s subscribes to %s: %v", c.name, c.channel, err)
		}
		if err := c.by.publish(c.channel, "hi"); (err == nil) != c.mayPublish || err != nil && !errors.Is(err, &wire.Error{Name: "PublishError"}) {
			t.Errorf("%s publishes to %s: %v", c.name, c.channel, err)
		}
	}
}

func TestMessagesAreSigned(t *testing.T) {
	site := start(t, newDatabase(t))
	alice, guest := connect(t, site, ""), connect(t, site, "")
	alice.login("alice")
	if err := guest.subscribe("lobby"); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []any{nil, "", 1, map[string]string{"from": "bob", "text": "hi"}, strings.Repeat("x", 1001)} {
		if err := alice.publish("lobby", bad); !errors.Is(err, &wire.Error{Name: "MessageError"}) {
			t.Errorf("%.40v: %v", bad, err)
		}
	}
	if err := alice.publish("lobby", "hi"); err != nil {
		t.Fatal(err)
	}
	var got struct{ Data message }
	if guest.event("#publish", &got); got.Data != (message{"alice", "hi"}) {
		t.Errorf("published %+v", got.Data)
	}
}

func TestLoginRefuses(t *testing.T) {
	site := start(t, newDatabase(t))
	c := connect(t, site, "")
	for _, in := range []credentials{{"alice", "wrong"}, {"alice", ""}, {"carol", secret}, {"", ""}, {"' OR 1=1 --", "x"}} {
		if _, err := c.call("login", in); !errors.Is(err, login.ErrLogin) {
			t.Errorf("%v: %v", in, err)
		}
	}
	for _, procedure := range []string{"logout", "logoutEverywhere"} {
		if _, err := c.call(procedure, nil); !errors.Is(err, wire.ErrAuth) {
			t.Errorf("%s without a login: %v", procedure, err)
		}
	}
	c.login("alice") // after all that
}

func TestLoginIsLimited(t *testing.T) {
	site := start(t, newDatabase(t))
	c := connect(t, site, "")
	for range 10 {
		if _, err := c.call("login", credentials{"alice", "wrong"}); !errors.Is(err, login.ErrLogin) {
			t.Fatal(err)
		}
	}
	_, err := c.call("login", credentials{"alice", secret})
	refusal, ok := errors.AsType[*wire.Error](err)
	if !ok || refusal.Name != login.ErrRate.Name {
		t.Fatalf("after ten wrong ones: %v", err)
	}
	if _, ok := refusal.Field("retryAfter"); !ok {
		t.Errorf("%v does not contain the time to wait", refusal)
	}
}

// post sends a login as a page of an origin.
func post(t *testing.T, site *httptest.Server, origin, body string) (status int, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, site.URL+"/login", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Origin", origin)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

func TestLoginOverHTTP(t *testing.T) {
	site := start(t, newDatabase(t))
	const good = `{"username":"Alice","password":"` + secret + `"}`
	status, text := post(t, site, site.URL, good)
	token, ok := strings.CutPrefix(strings.TrimSuffix(text, "\"}\n"), `{"token":"`)
	if status != http.StatusOK || !ok {
		t.Fatalf("%d %s", status, text)
	}
	if err := connect(t, site, token).subscribe("room/staff"); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		origin, body string
		status       int
	}{
		{site.URL, `{"username":"alice","password":"wrong"}`, http.StatusUnauthorized},
		{site.URL, `alice`, http.StatusBadRequest},
		{"https://evil.example", good, http.StatusForbidden},
	} {
		if status, text := post(t, site, c.origin, c.body); status != c.status {
			t.Errorf("%+v: %d %s", c, status, text)
		}
	}
}

// A logout ends the login of a device, and one everywhere all logins of the user.
// A restart brings none of them back.
func TestLogout(t *testing.T) {
	file := newDatabase(t)
	site := start(t, file)
	laptop, phone, bob := connect(t, site, ""), connect(t, site, ""), connect(t, site, "")
	onLaptop, onPhone, ofBob := laptop.login("alice"), phone.login("alice"), bob.login("bob")
	tab := connect(t, site, onLaptop)

	isOut := func(token string, open ...*client) {
		t.Helper()
		for _, c := range open {
			c.event("#removeAuthToken", nil)
			if err := c.subscribe("room/staff"); err == nil {
				t.Error("a socket is still logged in")
			}
		}
		if err := connect(t, site, token).subscribe("room/staff"); err == nil {
			t.Error("the token is still good")
		}
	}
	if _, err := laptop.call("logout", nil); err != nil {
		t.Fatal(err)
	}
	isOut(onLaptop, laptop, tab)
	if err := phone.subscribe("room/staff"); err != nil {
		t.Errorf("the other device: %v", err)
	}

	onLaptop = laptop.login("alice")
	if _, err := laptop.call("logoutEverywhere", nil); err != nil {
		t.Fatal(err)
	}
	isOut(onLaptop, laptop)
	isOut(onPhone, phone)

	site = start(t, file)
	isOut(onLaptop)
	isOut(onPhone)
	if err := connect(t, site, ofBob).publish("lobby", "hi"); err != nil {
		t.Errorf("another user: %v", err)
	}
	laptop = connect(t, site, "")
	laptop.login("alice")
	if err := laptop.subscribe("room/staff"); err != nil {
		t.Errorf("after another login: %v", err)
	}
}

func TestRevocationsAreAStore(t *testing.T) {
	revoketest.TestStore(t, func(t *testing.T) revoke.Store {
		r, err := openRevocations(t.Context(), open(t, filepath.Join(t.TempDir(), "app.db")))
		if err != nil {
			t.Fatal(err)
		}
		return r
	})
}

// The file does not grow forever, and what has no end stays.
func TestOldRevocationsGo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "app.db")
	db := open(t, file)
	r, err := openRevocations(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), `INSERT INTO revocations VALUES ('{"sid":"old"}', ?)`, time.Now().Unix()); err != nil {
		t.Fatal(err)
	}
	for _, one := range []revoke.Revocation{{Session: "a", Until: time.Now().Add(time.Hour)}, {Session: "b"}} {
		if err := r.Add(t.Context(), one); err != nil {
			t.Fatal(err)
		}
	}
	var n int
	if err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM revocations`).Scan(&n); err != nil || n != 2 {
		t.Errorf("%d rows, %v", n, err)
	}
	if again, err := openRevocations(t.Context(), db); err != nil || again.Len() != 2 {
		t.Errorf("after a restart: %v, %v", again, err)
	}
	db.Close()
	if err := r.Add(t.Context(), revoke.Revocation{Session: "c", Until: time.Now().Add(time.Hour)}); err == nil || r.Len() != 2 {
		t.Errorf("without the database: %v, %d revocations", err, r.Len())
	}
}

func TestMessageSizeIsLimited(t *testing.T) {
	site := start(t, newDatabase(t))
	c := connect(t, site, "")
	c.login("alice")
	if err := ws.WriteFrame(c.conn, ws.MaskFrame(ws.NewTextFrame(make([]byte, limits.MessageSize+1)))); err != nil {
		t.Fatal(err)
	}
	if code := c.closeCode(); code != ws.StatusMessageTooBig {
		t.Errorf("closed with %d", code)
	}
}

func TestPage(t *testing.T) {
	site := start(t, newDatabase(t))
	for path, want := range map[string]string{"/": `src="app.js"`, "/app.js": "import {create} from './socketcluster.js'", "/socketcluster.js": "create"} {
		resp, err := http.Get(site.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !strings.Contains(string(text), want) || !strings.Contains(resp.Header.Get("Content-Security-Policy"), "script-src 'self'") {
			t.Errorf("%s: %s %v, %v: %.100s", path, resp.Status, resp.Header, err, text)
		}
	}
}

func TestAddUser(t *testing.T) {
	file := newDatabase(t)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v; others must not read the hashes", info.Mode(), err)
	}
	add := func(password string, args ...string) error {
		return run(t.Context(), append([]string{"adduser", "-db", file}, args...), strings.NewReader(password), io.Discard)
	}
	for what, err := range map[string]error{
		"no name":     add(secret),
		"blank name":  add(secret, " "),
		"no password": add("", "carol"),
		"empty line":  add("\nlate", "carol"),
		"no flag":     add(secret, "-x", "carol"),
	} {
		if err == nil {
			t.Errorf("%s: added", what)
		}
	}
	if err := add("another", "ALICE", "board"); err != nil {
		t.Fatal(err)
	}
	u := &users{db: open(t, file)}
	if _, err := u.check(t.Context(), "alice", secret); !errors.Is(err, login.ErrInvalidCredentials) {
		t.Errorf("the old password: %v", err)
	}
	if alice, err := u.check(t.Context(), "alice", "another"); err != nil || len(alice.rooms) != 1 || alice.rooms[0] != "board" {
		t.Errorf("the new one: %+v, %v", alice, err)
	}
	var hash string
	if err := u.db.QueryRowContext(t.Context(), `SELECT password FROM users WHERE name = 'bob'`).Scan(&hash); err != nil || !strings.HasPrefix(hash, "$argon2id$") {
		t.Errorf("a password is stored as %q, %v", hash, err)
	}
}

func TestServe(t *testing.T) {
	file := newDatabase(t)
	for _, c := range []struct{ key, args, want string }{
		{"", "serve", "AUTH_KEY"},
		{"short", "serve", "Auth.Key"},
		{key, "serve -addr nonsense", "missing port"},
		{key, "serve -db " + t.TempDir(), "is a directory"},
		{key, "serve -origins nonsense", "Origins"},
		{key, "serve -proxies nonsense", "TrustedProxies"},
		{key, "", "the first argument"},
		{key, "nonsense", "the first argument"},
	} {
		t.Setenv("AUTH_KEY", c.key)
		args := strings.Fields(c.args)
		if len(args) > 0 && !strings.Contains(c.args, "-db") {
			args = append(args, "-db", file)
		}
		if err := run(t.Context(), args, nil, t.Output()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %s", c.args, err, c.want)
		}
	}

	t.Setenv("AUTH_KEY", key)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, stdout := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{"serve", "-addr", "127.0.0.1:0", "-db", file}, nil, stdout) }()
	line := make([]byte, 100)
	n, err := out.Read(line)
	address, ok := strings.CutPrefix(strings.TrimSpace(string(line[:n])), "listening on ")
	if err != nil || !ok {
		t.Fatalf("%q, %v", line[:n], err)
	}
	c := connect(t, &httptest.Server{URL: "http://" + address}, "")
	c.login("bob")
	stop()
	if code := c.closeCode(); code != ws.StatusGoingAway {
		t.Errorf("closed with %d", code)
	}
	c.conn.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if conn, _, _, err := ws.Dial(t.Context(), "ws://"+address+socketcluster.DefaultPath); err == nil {
		conn.Close()
		t.Error("it still serves")
	}
}

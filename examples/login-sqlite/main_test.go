package main

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/examples/internal/logintest"
	"github.com/socketcluster-go/socketcluster/examples/internal/site"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
	"github.com/socketcluster-go/socketcluster/wire"
)

func open(t *testing.T, file string) *users {
	t.Helper()
	u, err := openUsers(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { u.close() })
	return u
}

func serve(t *testing.T, u *users) *site.Server {
	t.Helper()
	_, handler, err := newHandler(logintest.Key, u)
	if err != nil {
		t.Fatal(err)
	}
	return site.Serve(t, handler)
}

func TestLogin(t *testing.T) {
	file := filepath.Join(t.TempDir(), "the users?#%.db") // every letter is one of the name
	first := open(t, file)
	if err := first.add(t.Context(), logintest.Username, logintest.Password, []string{"news", "user/alice"}); err != nil {
		t.Fatal(err)
	}
	if err := first.add(t.Context(), logintest.Username, "mine now", nil); err == nil {
		t.Error("a name was given twice")
	}
	// The file is what counts: a second program reads it, and the first still
	// has it open.
	second := open(t, file)
	for _, name := range []string{file, file + "-wal", file + "-shm"} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; others must not read the hashes", name, info.Mode(), err)
		}
	}
	server := serve(t, second)
	logintest.Refuses(t, server)
	client, signed, claims := logintest.Login(t, server)
	if want := `{"channels":["news","user/alice"],"username":"alice"}`; claims != want {
		t.Errorf("claims %s, want %s", claims, want)
	}

	type channel struct {
		Channel string `json:"channel"`
	}
	for name, client := range map[string]*sctest.Client{"after the login": client, "with the token": server.Connect(signed)} {
		if _, err := client.Call("#subscribe", channel{"user/alice"}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := client.Call("#subscribe", channel{"user/bob"}); !errors.Is(err, &wire.Error{Name: "SubscribeError"}) {
			t.Errorf("%s, a channel of another user: %v", name, err)
		}
	}
	if _, err := server.Connect("").Call("#subscribe", channel{"news"}); !errors.Is(err, &wire.Error{Name: "SubscribeError"}) {
		t.Errorf("without a token: %v", err)
	}

	var hash string
	if err := first.db.QueryRowContext(t.Context(), `SELECT password FROM users`).Scan(&hash); err != nil || !strings.HasPrefix(hash, "$argon2id$") {
		t.Errorf("a password is stored as %q, %v", hash, err)
	}
	logintest.LimitsCalls(t, func() (*socketcluster.Server, http.Handler, error) { return newHandler(logintest.Key, second) })
	second.close()
	logintest.FailsWithoutDatabase(t, server)
}

func TestOpenFails(t *testing.T) {
	if u, err := openUsers(t.Context(), t.TempDir()); err == nil {
		u.close()
		t.Error("a folder was opened")
	}
	if _, _, err := newHandler("short", open(t, filepath.Join(t.TempDir(), "users.db"))); err == nil {
		t.Error("a short key was accepted")
	}
}

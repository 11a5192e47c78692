package main

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/examples/internal/logintest"
	"github.com/socketcluster-go/socketcluster/examples/internal/site"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
	"github.com/socketcluster-go/socketcluster/wire"
)

func TestLogin(t *testing.T) {
	pool := startPostgres(t)
	u, err := openUsers(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	alice := user{Username: logintest.Username, Channels: []string{"news", `a "quoted", {one}`}}
	if err := u.add(t.Context(), alice, logintest.Password); err != nil {
		t.Fatal(err)
	}
	if err := u.add(t.Context(), alice, "mine now"); err == nil {
		t.Error("a name was given twice")
	}
	if _, err := openUsers(t.Context(), pool); err != nil {
		t.Errorf("the second start: %v", err)
	}
	_, handler, err := newHandler(logintest.Key, u)
	if err != nil {
		t.Fatal(err)
	}
	server := site.Serve(t, handler)

	if _, err := server.Connect("").Call("whoami", nil); !errors.Is(err, wire.ErrAuth) {
		t.Errorf("whoami before the login: %v", err)
	}
	logintest.Refuses(t, server)
	client, signed, claims := logintest.Login(t, server)
	if want := `{"channels":["news","a \"quoted\", {one}"],"username":"alice"}`; claims != want {
		t.Errorf("claims %s, want %s", claims, want)
	}
	for _, client := range []*sctest.Client{client, server.Connect(signed)} {
		answer, err := client.Call("whoami", nil)
		if want := `{"username":"alice","channels":["news","a \"quoted\", {one}"]}`; err != nil || string(answer) != want {
			t.Errorf("whoami = %s, %v; want %s", answer, err, want)
		}
	}

	var hash string
	if err := pool.QueryRow(t.Context(), `SELECT password FROM users`).Scan(&hash); err != nil || !strings.HasPrefix(hash, "$argon2id$") {
		t.Errorf("a password is stored as %q, %v", hash, err)
	}
	logintest.LimitsCalls(t, func() (*socketcluster.Server, http.Handler, error) { return newHandler(logintest.Key, u) })
	pool.Close()
	logintest.FailsWithoutDatabase(t, server)
}

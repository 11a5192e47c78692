package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/examples/internal/logintest"
	"github.com/socketcluster-go/socketcluster/examples/internal/site"
	"github.com/socketcluster-go/socketcluster/wire"
)

const (
	key      = logintest.Key
	password = logintest.Password
)

func logIn(t *testing.T, server *site.Server, username, password string) (int, string) {
	t.Helper()
	body, err := json.Marshal(map[string]string{"username": username, "password": password})
	if err != nil {
		t.Fatal(err)
	}
	return server.Do("POST", "/login", string(body), "Content-Type", "application/json")
}

func askMe(server *site.Server, token string) (int, string) {
	return server.Do("GET", "/me", "", "Authorization", "Bearer "+token)
}

// AUTH-3: the socket server accepts what another library has signed with its
// key.
func TestLogin(t *testing.T) {
	_, handler, err := newHandler(key, password)
	if err != nil {
		t.Fatal(err)
	}
	server := site.Serve(t, handler)
	status, body := logIn(t, server, "alice", password)
	var answer struct{ Token string }
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusOK {
		t.Fatalf("%d: %s", status, body)
	}
	if status, body := askMe(server, answer.Token); status != http.StatusOK || body != `{"username":"alice"}`+"\n" {
		t.Errorf("me: %d: %s", status, body)
	}
	for _, bad := range []string{"", answer.Token + "x"} {
		if status, body := askMe(server, bad); status != http.StatusUnauthorized {
			t.Errorf("me with the token %q: %d: %s", bad, status, body)
		}
	}
	name, err := server.Connect(answer.Token).Call("whoami", nil)
	if err != nil || string(name) != `"alice"` {
		t.Errorf("whoami = %s, %v", name, err)
	}
	if name, err := server.Connect("").Call("whoami", nil); !errors.Is(err, wire.ErrAuth) {
		t.Errorf("whoami without a token = %s, %v", name, err)
	}
	forged, err := sign("another key, also with 32 bytes or more", "alice", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if name, err := server.Connect(forged).Call("whoami", nil); !errors.Is(err, wire.ErrAuth) {
		t.Errorf("whoami with a forged token = %s, %v", name, err)
	}
}

func TestLoginRefuses(t *testing.T) {
	_, handler, err := newHandler(key, password)
	if err != nil {
		t.Fatal(err)
	}
	server := site.Serve(t, handler)
	for _, c := range [][2]string{{"alice", "wrong"}, {"alice", ""}, {"bob", password}} {
		if status, body := logIn(t, server, c[0], c[1]); status != http.StatusUnauthorized || body != `{"error":{"message":"Invalid user credentials","name":"LoginError"}}`+"\n" {
			t.Errorf("%v: %d: %s", c, status, body)
		}
	}
	logintest.RefusesRequests(t, server)
	if status, body := server.Do("POST", "/login", "no JSON", "Content-Type", "application/json"); status != http.StatusBadRequest {
		t.Errorf("a body that is no JSON: %d: %s", status, body)
	}
	if _, _, err := newHandler("short", password); err == nil {
		t.Error("a short key was accepted")
	}
}

func TestLoginIsLimited(t *testing.T) {
	logintest.LimitsRequests(t, func() (*socketcluster.Server, http.Handler, error) { return newHandler(key, password) })
}

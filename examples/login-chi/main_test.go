package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/examples/internal/logintest"
	"github.com/socketcluster-go/socketcluster/examples/internal/site"
	"github.com/socketcluster-go/socketcluster/wire"
)

const secret = logintest.Password

func newTestHandler(t *testing.T) (*socketcluster.Server, http.Handler, error) {
	t.Helper()
	users, err := newUsers(t.Context(), secret)
	if err != nil {
		t.Fatal(err)
	}
	return newHandler(logintest.Key, users)
}

func serve(t *testing.T) *site.Server {
	t.Helper()
	_, handler, err := newTestHandler(t)
	if err != nil {
		t.Fatal(err)
	}
	return site.Serve(t, handler)
}

func post(server *site.Server, body string) (int, string) {
	return server.Do("POST", "/login", body, "Content-Type", "application/json")
}

// One token is valid for routes and for sockets.
func TestLogin(t *testing.T) {
	server := serve(t)
	status, body := post(server, `{"username":"alice","password":"`+secret+`"}`)
	var answer struct{ Token string }
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusOK {
		t.Fatalf("%d: %s", status, body)
	}
	if status, body := server.Do("GET", "/me", "", "Authorization", "Bearer "+answer.Token); status != http.StatusOK || body != `{"username":"alice"}`+"\n" {
		t.Errorf("me: %d: %s", status, body)
	}
	if user, err := server.Connect(answer.Token).Call("whoami", nil); err != nil || string(user) != `{"username":"alice"}` {
		t.Errorf("whoami = %s, %v", user, err)
	}

	for _, header := range []string{"", "Bearer", "Bearer " + answer.Token + "x", "Basic YWxpY2U6"} {
		if status, body := server.Do("GET", "/me", "", "Authorization", header); status != http.StatusUnauthorized {
			t.Errorf("me with %q: %d: %s", header, status, body)
		}
	}
	if user, err := server.Connect("").Call("whoami", nil); !errors.Is(err, wire.ErrAuth) {
		t.Errorf("whoami without a token = %s, %v", user, err)
	}
}

func TestLoginRefuses(t *testing.T) {
	server := serve(t)
	for _, body := range []string{
		`{"username":"alice","password":"wrong"}`, `{"username":"alice"}`, `{"username":"carol","password":"` + secret + `"}`, `{}`,
	} {
		if status, answer := post(server, body); status != http.StatusUnauthorized || answer != `{"error":{"message":"Invalid user credentials","name":"LoginError"}}`+"\n" {
			t.Errorf("%s: %d: %s", body, status, answer)
		}
	}
	for _, body := range []string{"no JSON", `{"username":1}`, strings.Repeat(" ", 5000) + "{}"} {
		if status, answer := post(server, body); status != http.StatusBadRequest {
			t.Errorf("%.20s: %d: %s", body, status, answer)
		}
	}
	logintest.RefusesRequests(t, server)
	if _, _, err := newHandler("short", nil); err == nil {
		t.Error("a short key was accepted")
	}
}

func TestLoginIsLimited(t *testing.T) {
	logintest.LimitsRequests(t, func() (*socketcluster.Server, http.Handler, error) { return newTestHandler(t) })
}

func TestNoPassword(t *testing.T) {
	if _, err := newUsers(t.Context(), ""); err == nil {
		t.Error("the users have an empty password")
	}
}

// Package logintest checks that an example logs in the right users, over a
// socket, and reveals nothing to others.
package logintest

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/examples/internal/site"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
	"github.com/socketcluster-go/socketcluster/wire"
)

// The key of the server under test, and the one user that it must have.
const (
	Key      = "a key of the test, with 32 bytes or more"
	Username = "alice"
	Password = "correct horse"
)

type credentials struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// refused are credentials that all fail with the same error.
var refused = map[string]credentials{
	"wrong password":          {Username, "wrong"},
	"no password":             {Username, ""},
	"unknown user":            {"carol", Password},
	"other accent":            {"alicé", Password},
	"SQL that is always true": {"' OR '1'='1", "' OR '1'='1"},
	"SQL with a name":         {Username + "'; DROP TABLE users; --", Password},
	"NUL":                     {Username + "\x00", Password},
	"a long password":         {Username, strings.Repeat(Password, 1000)},
}

// Refuses checks that no other credentials get a token.
func Refuses(t *testing.T, server *site.Server) {
	client := server.Connect("")
	for name, c := range refused {
		if _, err := client.Call("login", c); err == nil || err.Error() != "LoginError: Invalid user credentials" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, data := range []any{nil, "text", []int{1}, map[string]any{"username": map[string]any{"$ne": 1}, "password": true}} {
		if _, err := client.Call("login", data); err == nil {
			t.Errorf("%v: logged in", data)
		}
	}
	// After all these, the next login on the same socket works.
	if _, err := client.Call("login", credentials{Username, Password}); err != nil {
		t.Error(err)
	}
}

// Login logs the user in and returns the client, which has its token, and the
// claims of that.
func Login(t *testing.T, server *site.Server) (client *sctest.Client, signed, claims string) {
	t.Helper()
	client = server.Connect("")
	// The gate treats all spellings as one user, and so must the users.
	if _, err := client.Call("login", credentials{" " + strings.ToUpper(Username), Password}); err != nil {
		t.Fatal(err)
	}
	var data struct{ Token string }
	client.Event("#setAuthToken", &data)
	return client, data.Token, read(t, data.Token)
}

// read verifies a token, which must be of a login just now, and returns its
// claims without the times.
func read(t *testing.T, signed string) string {
	t.Helper()
	engine, err := auth.NewJWT(auth.Options{Key: Key})
	if err != nil {
		t.Fatal(err)
	}
	token, err := engine.Verify(t.Context(), signed)
	if err != nil {
		t.Fatal(err)
	}
	if at, ok := token.AuthTime(); !ok || time.Since(at) > time.Minute || time.Until(at) > 0 {
		t.Errorf("the token reports a login at %v, %v", at, ok)
	}
	var claims map[string]any
	if err := token.Claims(&claims); err != nil {
		t.Fatal(err)
	}
	delete(claims, "iat")
	delete(claims, "exp")
	delete(claims, "auth_time")
	text, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// FailsWithoutDatabase checks that an error of the database is hidden from the
// client, and never logs anybody in.
func FailsWithoutDatabase(t *testing.T, server *site.Server) {
	_, err := server.Connect("").Call("login", credentials{Username, Password})
	if !errors.Is(err, &wire.Error{Name: "InternalError"}) || strings.Contains(err.Error(), "sql") {
		t.Errorf("login: %v", err)
	}
}

// RefusesRequests checks that a login over HTTP is refused for pages of other
// origins, and for requests that their forms can send.
func RefusesRequests(t *testing.T, server *site.Server) {
	t.Helper()
	body, err := json.Marshal(credentials{Username, Password})
	if err != nil {
		t.Fatal(err)
	}
	const json = "application/json"
	for _, c := range []struct {
		header []string
		status int
	}{
		{nil, http.StatusUnsupportedMediaType},
		{[]string{"Content-Type", "text/plain"}, http.StatusUnsupportedMediaType},
		{[]string{"Content-Type", "application/x-www-form-urlencoded"}, http.StatusUnsupportedMediaType},
		{[]string{"Content-Type", "text/plain; " + json}, http.StatusUnsupportedMediaType},
		{[]string{"Content-Type", json, "Origin", "https://evil.example"}, http.StatusForbidden},
		{[]string{"Content-Type", json, "Origin", "null"}, http.StatusForbidden},
		{[]string{"Content-Type", json, "Sec-Fetch-Site", "cross-site"}, http.StatusForbidden},
		{[]string{"Content-Type", json, "Origin", server.URL}, http.StatusOK},
		{[]string{"Content-Type", json + "; charset=utf-8", "Sec-Fetch-Site", "same-origin"}, http.StatusOK},
	} {
		if status, answer := server.Do("POST", "/login", string(body), c.header...); status != c.status {
			t.Errorf("%v: %d: %s; want %d", c.header, status, answer, c.status)
		}
	}
}

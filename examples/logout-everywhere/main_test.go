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
	"github.com/socketcluster-go/socketcluster/internal/sctest"
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

// device is a browser with two tabs.
type device struct {
	token string
	tabs  [2]*sctest.Client
}

func logIn(t *testing.T, server *site.Server, user string) device {
	t.Helper()
	first := server.Connect("")
	if _, err := first.Call("login", credentials{Username: user, Password: secret}); err != nil {
		t.Fatal(err)
	}
	var data struct{ Token string }
	first.Event("#setAuthToken", &data)
	return device{data.Token, [2]*sctest.Client{first, server.Connect(data.Token)}}
}

// isIn checks that all tabs and a later connection are logged in.
func (d device) isIn(t *testing.T, server *site.Server, devices int) {
	t.Helper()
	for _, tab := range []*sctest.Client{d.tabs[0], d.tabs[1], server.Connect(d.token)} {
		answer, err := tab.Call("devices", nil)
		if err != nil {
			t.Error(err)
			continue
		}
		var times []time.Time
		if err := json.Unmarshal(answer, &times); err != nil || len(times) != devices {
			t.Errorf("devices %s, %v; want %d", answer, err, devices)
		}
	}
}

// isOut checks that all tabs are notified, and that the token is not valid.
func (d device) isOut(t *testing.T, server *site.Server) {
	t.Helper()
	for _, tab := range d.tabs {
		tab.Event("#removeAuthToken", nil)
		if _, err := tab.Call("devices", nil); !errors.Is(err, wire.ErrAuth) {
			t.Errorf("a tab that is open: %v", err)
		}
	}
	d.tokenIsRevoked(t, server)
}

// isDisconnected checks the same where the connections end.
func (d device) isDisconnected(t *testing.T, server *site.Server) {
	t.Helper()
	for _, tab := range d.tabs {
		tab.Closed()
	}
	d.tokenIsRevoked(t, server)
}

func (d device) tokenIsRevoked(t *testing.T, server *site.Server) {
	t.Helper()
	later := server.Connect(d.token)
	later.Event("#removeAuthToken", nil)
	if _, err := later.Call("devices", nil); !errors.Is(err, wire.ErrAuth) {
		t.Errorf("a connection with the token: %v", err)
	}
}

func TestLogoutEverywhere(t *testing.T) {
	for name, test := range map[string]struct {
		how    everywhere
		others func(device, *testing.T, *site.Server)
	}{
		"deauthenticate":                  {everywhere{}, device.isOut},
		"disconnect":                      {everywhere{Disconnect: true}, device.isDisconnected},
		"deauthenticate the other device": {everywhere{KeepThis: true}, device.isOut},
		"disconnect the other device":     {everywhere{KeepThis: true, Disconnect: true}, device.isDisconnected},
	} {
		t.Run(name, func(t *testing.T) {
			server := serve(t)
			laptop, phone, bob := logIn(t, server, "alice"), logIn(t, server, "alice"), logIn(t, server, "bob")
			laptop.isIn(t, server, 2)
			phone.isIn(t, server, 2)

			laptop.tabs[0].Start("logoutEverywhere", test.how)
			test.others(phone, t, server)
			if test.how.KeepThis {
				laptop.isIn(t, server, 1)
			} else {
				test.others(laptop, t, server)
			}
			bob.isIn(t, server, 1)
		})
	}
}

// A logout ends the session on all tabs of one device.
func TestLogout(t *testing.T) {
	server := serve(t)
	laptop, phone := logIn(t, server, "alice"), logIn(t, server, "alice")
	if _, err := laptop.tabs[1].Call("logout", nil); err != nil {
		t.Fatal(err)
	}
	laptop.isOut(t, server)
	phone.isIn(t, server, 1)
}

func TestRefuses(t *testing.T) {
	client := serve(t).Connect("")
	for _, c := range []credentials{{Username: "alice", Password: "wrong"}, {Username: "carol", Password: secret}, {}} {
		if _, err := client.Call("login", c); err == nil || err.Error() != "LoginError: Invalid user credentials" {
			t.Errorf("%v: %v", c, err)
		}
	}
	for _, procedure := range []string{"devices", "logout", "logoutEverywhere"} {
		if _, err := client.Call(procedure, nil); !errors.Is(err, wire.ErrAuth) {
			t.Errorf("%s without a login: %v", procedure, err)
		}
	}
}

func TestLoginIsLimited(t *testing.T) {
	logintest.LimitsCalls(t, func() (*socketcluster.Server, http.Handler, error) { return newTestHandler(t) })
}

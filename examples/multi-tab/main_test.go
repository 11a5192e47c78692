package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/examples/internal/logintest"
	"github.com/socketcluster-go/socketcluster/examples/internal/site"
)

// The tabs are tested in a browser, in internal/compat/tabs.
func TestServer(t *testing.T) {
	users, err := newUsers(t.Context(), logintest.Password)
	if err != nil {
		t.Fatal(err)
	}
	_, handler, err := newHandler(logintest.Key, users)
	if err != nil {
		t.Fatal(err)
	}
	server := site.Serve(t, handler)
	logintest.Refuses(t, server)
	if _, _, claims := logintest.Login(t, server); claims != `{"username":"alice"}` {
		t.Errorf("claims %s", claims)
	}
	logintest.LimitsCalls(t, func() (*socketcluster.Server, http.Handler, error) { return newHandler(logintest.Key, users) })
	for path, want := range map[string]string{
		"/": "import {followTabs} from './tabs.js'", "/tabs.js": "export function followTabs", "/client.js": "create",
	} {
		if status, body := server.Do("GET", path, ""); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d: %.100s", path, status, body)
		}
	}
}

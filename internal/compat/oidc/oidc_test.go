// Package oidc_test runs the example oidc against an OpenID Connect provider in a
// process of its own, with Chromium and with the stock client.
package oidc_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"github.com/socketcluster-go/socketcluster/internal/compat/browsertest"
	"github.com/socketcluster-go/socketcluster/internal/compat/npm"
	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
)

// The callback of the clients, in which only the port may differ.
const callback = "http://localhost:1/callback"

// start runs a provider, and the example as a client of it. It answers their
// addresses.
func start(t *testing.T) (provider, site string) {
	t.Helper()
	provider = "http://" + proc.Start(t, proc.Node(t, "oidc/js/provider.mjs")).Addr()
	cmd := proc.Binary(proc.GoBuild(t, "../../examples/oidc"),
		"AUTH_KEY=a key of these tests, 32 bytes or more", "OIDC_CLIENT_SECRET=the secret of chat")
	cmd.Args = append(cmd.Args, "-addr", "127.0.0.1:0", "-issuer", provider, "-client-id", "chat")
	_, port, err := net.SplitHostPort(proc.Start(t, cmd).Addr())
	if err != nil {
		t.Fatal(err)
	}
	return provider, "http://localhost:" + port
}

// A user logs in at the provider, and is known to the page's sockets. No script
// gets hold of a token.
func TestLoginInBrowser(t *testing.T) {
	provider, site := start(t)
	b := browsertest.Start(t)
	tab, other := b.NewTab(t), b.NewTab(t)
	tab.Navigate(site)
	tab.WaitText("#status", "logged out")
	tab.Click("#login")
	tab.WaitText("form", "Sign-in") // at the provider
	var at string
	tab.Eval(`location.origin`, &at)
	if at != provider {
		t.Errorf("the password is asked for at %s", at)
	}
	tab.SetValue("input[name=login]", "alice")
	tab.SetValue("input[name=password]", "any")
	tab.Click("button.login-submit")
	tab.WaitText("form", "Continue") // the provider asks for consent
	tab.Click("button.login-submit")
	tab.WaitText("#status", "logged in as alice")

	var state struct {
		Path, Cookie    string
		Stored, Session int
	}
	tab.Eval(`({Path: location.pathname + location.search, Cookie: document.cookie, Stored: localStorage.length, Session: sessionStorage.length})`, &state)
	if state.Path != "/" || state.Cookie != "" || state.Stored != 0 || state.Session != 0 {
		t.Errorf("left in the page: %+v", state)
	}

	var stock struct {
		State, User string
		Token       *string
	}
	tab.Eval(fmt.Sprintf(`(async () => {
		const {create} = await import('%s/socketcluster-client.min.js');
		const socket = create();
		await socket.listener('connect').once();
		const User = await socket.invoke('whoami');
		return {State: socket.authState, User, Token: socket.signedAuthToken};
	})()`, serveStockClient(t)), &stock)
	if stock.State != "authenticated" || stock.User != "alice" || stock.Token != nil {
		t.Errorf("the stock client: %+v", stock)
	}

	// The login is the browser's, and so is the logout.
	other.Navigate(site)
	other.WaitText("#status", "logged in as alice")
	other.Click("#logout")
	other.WaitText("#status", "logged out")
	tab.WaitText("#status", "logged out")
	tab.Navigate(site)
	tab.WaitText("#status", "logged out")

	// At the provider, alice is logged in still: it asks for consent alone.
	tab.Click("#login")
	tab.WaitText("form", "Continue")
	tab.Click("button.login-submit")
	tab.WaitText("#status", "logged in as alice")
}

// serveStockClient serves the files of the stock client, to any page.
func serveStockClient(t *testing.T) string {
	t.Helper()
	files := http.FileServer(http.Dir(filepath.Join(npm.Dir(t), "node_modules", "socketcluster-client")))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// A program that has got an ID token presents it in its handshake. One that was
// issued for another application logs nobody in.
func TestIDTokenInHandshake(t *testing.T) {
	provider, site := start(t)
	type answer struct {
		IsAuthenticated   bool
		User, Name, Error string
		IsBadToken        bool
	}
	connect := func(token string) (a answer) {
		t.Helper()
		u, err := url.Parse(site)
		if err != nil {
			t.Fatal(err)
		}
		cmd := proc.Node(t, "oidc/js/connect.mjs", "PORT="+u.Port(), "TOKEN="+token)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(out, &a); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		return a
	}
	if a := connect(idToken(t, provider, "chat")); a != (answer{IsAuthenticated: true, User: "alice"}) {
		t.Errorf("our ID token: %+v", a)
	}
	refused := answer{Name: "AuthTokenInvalidError", Error: "jwt audience invalid. expected: chat", IsBadToken: true}
	if a := connect(idToken(t, provider, "bank")); a != refused {
		t.Errorf("an ID token of another application: %+v", a)
	}
}

// idToken logs alice in at the provider without a browser, on behalf of a client.
func idToken(t *testing.T, provider, client string) string {
	t.Helper()
	config := oauth2.Config{
		ClientID:     client,
		ClientSecret: "the secret of " + client,
		Endpoint:     oauth2.Endpoint{AuthURL: provider + "/auth", TokenURL: provider + "/token"},
		RedirectURL:  callback,
		Scopes:       []string{"openid"},
	}
	verifier := oauth2.GenerateVerifier()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	user := &http.Client{Jar: jar, CheckRedirect: func(next *http.Request, _ []*http.Request) error {
		if next.URL.Host == "localhost:1" {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	page := read(t)(user.Get(config.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier))))
	for _, form := range []url.Values{{"prompt": {"login"}, "login": {"alice"}, "password": {"any"}}, {"prompt": {"consent"}}} {
		action := regexp.MustCompile(`action="([^"]+)"`).FindStringSubmatch(page.body)
		if action == nil {
			t.Fatalf("no form in %s", page.body)
		}
		page = read(t)(user.PostForm(action[1], form))
	}
	back, err := url.Parse(page.location)
	if err != nil || !strings.HasPrefix(page.location, callback) {
		t.Fatalf("sent back to %q", page.location)
	}
	token, err := config.Exchange(t.Context(), back.Query().Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(token.Extra("id_token"))
}

type page struct{ body, location string }

func read(t *testing.T) func(*http.Response, error) page {
	return func(resp *http.Response, err error) page {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return page{string(body), resp.Header.Get("Location")}
	}
}

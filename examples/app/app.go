package main

import (
	"context"
	"crypto/rand"
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/browser"
	"github.com/socketcluster-go/socketcluster/login"
	"github.com/socketcluster-go/socketcluster/rules"
	"github.com/socketcluster-go/socketcluster/wire"
)

// loginLife is the duration of a login, however often its token is renewed.
const loginLife = 30 * 24 * time.Hour

// claims are the claims of a token. The client can read them, but nobody can
// change them without the key.
type claims struct {
	User    string   `json:"sub"`
	Session string   `json:"sid"` // of one device, for its logout
	Rooms   []string `json:"rooms"`
}

// channelRules state what clients may do. Everything else is denied.
var channelRules = rules.MustNew(
	rules.Rule{Channel: "lobby", Subscribe: rules.Anyone, Publish: rules.Authenticated},
	rules.Rule{Channel: "room/*", In: "rooms"},                                                            // subscribe and publish
	rules.Rule{Channel: "user/{sub}", Subscribe: rules.Authenticated},                                     // the user's own, to listen to
	rules.Rule{Channel: "user/{sub}/notes", Publish: rules.Authenticated, Subscribe: rules.Authenticated}, // between the user's devices
)

// limits are those that this program sets lower than their defaults.
var limits = socketcluster.Limits{
	MessageSize:           64 << 10,
	Channels:              100,
	ConnectionsPerAddress: 500,
}

// app is the server, with everything that its procedures and routes need.
type app struct {
	sockets *socketcluster.Server
	gate    *login.Gate
	users   *users
	log     *slog.Logger
}

func newApp(s settings, u *users, revocations revoke.Store, log *slog.Logger) (*app, error) {
	sockets, err := socketcluster.New(socketcluster.Config{
		Auth:         auth.Options{Key: s.key, DefaultExpiry: s.tokenLife},
		AuthMaxAge:   loginLife,
		TokenRenewal: socketcluster.TokenRenewal{Every: s.tokenLife / 2},
		Revocations:  revocations,
		Origins:      s.origins,
		// Phones and services send no Origin header. They cannot misuse
		// anybody's browser.
		AllowMissingOrigin: true,
		TrustedProxies:     s.proxies,
		Limits:             limits,
		Logger:             log,
	})
	if err != nil {
		return nil, err
	}
	// The gate limits attempts to log in, by socket, address and user.
	gate, err := login.New(sockets, login.Options{})
	if err != nil {
		return nil, err
	}
	a := &app{sockets, gate, u, log}
	socketcluster.On(sockets, socketcluster.AuditLog(log)) // logins, failures, logouts
	sockets.UseInbound(channelRules.Middleware(log))
	socketcluster.Use(sockets, signMessage)
	sockets.Handle("login", socketcluster.Proc(a.login))
	sockets.Handle("logout", socketcluster.Proc(a.logout))
	sockets.Handle("logoutEverywhere", socketcluster.Proc(a.logoutEverywhere))
	return a, nil
}

// message is a message in a channel. The client sends only the text.
type message struct {
	From string `json:"from"`
	Text string `json:"text"`
}

// signMessage adds the name of the publisher to each message, so that nobody
// can write in the name of another. It runs after the rules.
func signMessage(_ context.Context, a *socketcluster.PublishIn) error {
	me, err := whoIs(a.Socket)
	if err != nil {
		return err
	}
	var text string
	if err := wire.Unmarshal(a.Data, &text); err != nil || text == "" || len(text) > 1000 {
		return socketcluster.Errorf("MessageError", "A message must be a text of 1 to 1000 bytes")
	}
	a.Data, err = wire.Marshal(message{me.User, text})
	return err
}

// credentials are the data of a login, over a socket or over HTTP.
type credentials struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// attempt checks a login. An unknown name and a wrong password take the same
// time and get the same answer.
func (a *app) attempt(ctx context.Context, by login.Attempt, in credentials) (login.Success[claims], error) {
	by.User = in.Username
	return login.Do(ctx, a.gate, by, func(ctx context.Context) (claims, error) {
		user, err := a.users.check(ctx, in.Username, in.Password)
		return claims{User: user.name, Session: rand.Text(), Rooms: user.rooms}, err
	})
}

// login logs a socket in. The client gets its token before the answer.
func (a *app) login(ctx context.Context, in credentials) error {
	s := socketcluster.FromContext(ctx)
	granted, err := a.attempt(ctx, login.Attempt{Socket: s}, in)
	if err != nil {
		return err
	}
	return s.SetAuthToken(ctx, granted.Result, auth.AuthTime(granted.LoginTime))
}

// serveLogin responds to a login over HTTP with a token, which the client
// presents when it connects, or over its socket. Other routes accept it too.
func (a *app) serveLogin(w http.ResponseWriter, r *http.Request) {
	var in credentials
	if !login.ReadJSON(w, r, &in) {
		return
	}
	granted, err := a.attempt(r.Context(), login.Attempt{Request: r}, in)
	var token *auth.Token
	if err == nil {
		token, err = a.sockets.Auth().Sign(r.Context(), granted.Result, auth.AuthTime(granted.LoginTime))
	}
	if err != nil {
		if !errors.As(err, new(*wire.Error)) {
			a.log.Error("login failed", slog.Any("error", err))
		}
		login.WriteError(w, err) // without the text of an internal error
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(map[string]string{"token": token.Signed()}) // the client may be gone
}

// logout ends the login of this device, in all tabs of its browser.
func (a *app) logout(ctx context.Context, _ socketcluster.None) error {
	me, err := whoIs(socketcluster.FromContext(ctx))
	if err != nil {
		return err
	}
	return a.sockets.Revoke(ctx, revoke.Revocation{
		Session: me.Session, Until: time.Now().Add(loginLife), Reason: "logout",
	})
}

// logoutEverywhere ends all logins of the user up to now, on all devices. Do the
// same when a password changes.
func (a *app) logoutEverywhere(ctx context.Context, _ socketcluster.None) error {
	me, err := whoIs(socketcluster.FromContext(ctx))
	if err != nil {
		return err
	}
	return a.sockets.Revoke(ctx, revoke.Revocation{
		Subject: me.User, Until: time.Now().Add(loginLife), Reason: "logout everywhere",
	})
}

func whoIs(s *socketcluster.Socket) (claims, error) {
	me, ok := socketcluster.Claims[claims](s)
	if !ok {
		return claims{}, socketcluster.Errorf("AuthError", "You are not logged in")
	}
	return me, nil
}

//go:embed page
var page embed.FS

// handler serves the sockets, the page and the routes.
func (a *app) handler() http.Handler {
	files, err := fs.Sub(page, "page")
	if err != nil {
		panic(err) // the folder is part of the program
	}
	mux := http.NewServeMux()
	mux.Handle("GET "+socketcluster.DefaultPath, a.sockets)
	mux.Handle("GET /socketcluster.js", browser.Handler())
	mux.HandleFunc("POST /login", a.serveLogin)
	mux.Handle("GET /{$}", http.FileServerFS(files))
	mux.Handle("GET /app.js", http.FileServerFS(files))
	// Pages of other origins must not make a visitor's browser log in.
	return a.sockets.Authenticator().Protect(secure(mux))
}

// secure keeps foreign scripts out of the page, because its localStorage
// contains the token: only its own files run, and nobody may frame it.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r)
	})
}

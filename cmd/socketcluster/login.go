package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/cmd/socketcluster/users"
	"github.com/socketcluster-go/socketcluster/login"
	"github.com/socketcluster-go/socketcluster/wire"
)

// maxLoginBody is the largest body of a login, in bytes: room for a name and
// a long passphrase with every character escaped.
const maxLoginBody = 4 << 10

// credentials are what a login sends, over HTTP or a socket.
type credentials struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// claims are what the tokens of the demo say.
type claims struct {
	Username string   `json:"username"`
	Channels []string `json:"channels"`
}

// loginFlows log users in over HTTP, as an http.Handler, and over sockets.
type loginFlows struct {
	users  *users.Store
	gate   *login.Gate
	tokens auth.Engine
	log    *slog.Logger
}

// newLoginFlows puts what becomes of them on record, too.
func newLoginFlows(srv *socketcluster.Server, store *users.Store, log *slog.Logger) (*loginFlows, error) {
	gate, err := login.New(srv, login.Options{})
	if err != nil {
		return nil, err
	}
	socketcluster.On(srv, socketcluster.AuditLog(log))
	l := &loginFlows{users: store, gate: gate, tokens: srv.Auth(), log: log}
	l.register(srv)
	return l, nil
}

// register adds the procedures of the socket flow.
func (l *loginFlows) register(srv *socketcluster.Server) {
	srv.Handle("login", socketcluster.Func(func(ctx context.Context, c *socketcluster.Call, in credentials) (socketcluster.None, error) {
		granted, err := login.Do(ctx, l.gate, login.Attempt{User: in.Username, Socket: c.Socket}, l.check(in))
		if err != nil {
			return socketcluster.None{}, err
		}
		return socketcluster.None{}, c.Socket.SetAuthToken(ctx, granted.Result, auth.AuthTime(granted.LoginTime))
	}))
	srv.Handle("logout", socketcluster.Func(func(ctx context.Context, c *socketcluster.Call, _ socketcluster.None) (socketcluster.None, error) {
		return socketcluster.None{}, c.Socket.Deauthenticate(ctx)
	}))
}

// check turns credentials into claims.
func (l *loginFlows) check(in credentials) func(context.Context) (claims, error) {
	return func(ctx context.Context) (claims, error) {
		u, err := l.users.Check(ctx, in.Username, in.Password)
		if err != nil {
			return claims{}, err
		}
		return claims{Username: u.Username, Channels: u.Channels}, nil
	}
}

// ServeHTTP answers credentials with a token.
func (l *loginFlows) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	in, malformed := readCredentials(w, r)
	if malformed != nil {
		writeError(w, malformed.status, &wire.Error{Name: wire.ErrInvalidArguments.Name, Message: malformed.text})
		return
	}
	granted, err := login.Do(r.Context(), l.gate, login.Attempt{User: in.Username, Request: r}, l.check(in))
	var token *auth.Token
	if err == nil {
		token, err = l.tokens.Sign(r.Context(), granted.Result, auth.AuthTime(granted.LoginTime))
	}
	if err != nil {
		if !errors.As(err, new(*wire.Error)) && r.Context().Err() == nil {
			l.log.Error("login failed", slog.Any("error", err))
		}
		login.WriteError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"token": token.Signed()})
}

// requestError is what is wrong with a request.
type requestError struct {
	status int
	text   string
}

// readCredentials reads the body of a login. That it must be of the type of
// JSON keeps forms of other sites from logging in.
func readCredentials(w http.ResponseWriter, r *http.Request) (credentials, *requestError) {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return credentials{}, &requestError{http.StatusUnsupportedMediaType, "The Content-Type must be application/json"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxLoginBody))
	if errors.As(err, new(*http.MaxBytesError)) {
		return credentials{}, &requestError{http.StatusRequestEntityTooLarge, "The body is too large"}
	}
	var in credentials
	if err != nil || json.Unmarshal(body, &in) != nil {
		return credentials{}, &requestError{http.StatusBadRequest, "The body must be a JSON object with a username and a password"}
	}
	return in, nil
}

func writeError(w http.ResponseWriter, status int, err *wire.Error) {
	writeJSON(w, status, map[string]*wire.Error{"error": err})
}

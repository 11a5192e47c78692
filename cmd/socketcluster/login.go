package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/cmd/socketcluster/users"
	"github.com/socketcluster-go/socketcluster/login"
	"github.com/socketcluster-go/socketcluster/wire"
)

// credentials are the data of a login, over HTTP or a socket.
type credentials struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// claims are the claims in the tokens of the demo.
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

// newLoginFlows makes the flows, and logs the audit events of logins.
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
	srv.Handle("login", socketcluster.Proc(func(ctx context.Context, in credentials) error {
		s := socketcluster.FromContext(ctx)
		granted, err := login.Do(ctx, l.gate, login.Attempt{User: in.Username, Socket: s}, l.check(in))
		if err != nil {
			return err
		}
		return s.SetAuthToken(ctx, granted.Result, auth.AuthTime(granted.LoginTime))
	}))
	srv.Handle("logout", socketcluster.Proc(func(ctx context.Context, _ socketcluster.None) error {
		socketcluster.FromContext(ctx).Deauthenticate(ctx)
		return nil
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

// ServeHTTP responds to credentials with a token.
func (l *loginFlows) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in credentials
	if !login.ReadJSON(w, r, &in) {
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

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
	"github.com/socketcluster-go/socketcluster/wire"
)

// maxLoginBody is the largest body of a login, in bytes: room for a name and
// a long passphrase with every character escaped.
const maxLoginBody = 4 << 10

// errLogin does not tell whether the name or the password was wrong.
var errLogin = &wire.Error{Name: "LoginError", Message: "Invalid user credentials"}

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

// login logs users in over HTTP, as an http.Handler, and over sockets.
type login struct {
	users  *users.Store
	tokens auth.Engine
	log    *slog.Logger
}

// register adds the procedures of the socket flow.
func (l *login) register(srv *socketcluster.Server) {
	srv.Handle("login", socketcluster.Func(func(ctx context.Context, c *socketcluster.Call, in credentials) (socketcluster.None, error) {
		granted, err := l.check(ctx, in)
		if err != nil {
			return socketcluster.None{}, err
		}
		return socketcluster.None{}, c.Socket.SetAuthToken(ctx, granted)
	}))
	srv.Handle("logout", socketcluster.Func(func(ctx context.Context, c *socketcluster.Call, _ socketcluster.None) (socketcluster.None, error) {
		return socketcluster.None{}, c.Socket.Deauthenticate(ctx)
	}))
}

// check turns credentials into claims.
func (l *login) check(ctx context.Context, in credentials) (claims, error) {
	u, err := l.users.Check(ctx, in.Username, in.Password)
	if errors.Is(err, users.ErrInvalidCredentials) {
		return claims{}, errLogin
	}
	if err != nil {
		return claims{}, err
	}
	return claims{Username: u.Username, Channels: u.Channels}, nil
}

// ServeHTTP answers credentials with a token.
func (l *login) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	in, err := readCredentials(w, r)
	if err != nil {
		writeError(w, err.status, &wire.Error{Name: wire.ErrInvalidArguments.Name, Message: err.text})
		return
	}
	token, failure := l.sign(r.Context(), in)
	switch {
	case failure == nil:
		writeJSON(w, http.StatusOK, map[string]string{"token": token.Signed()})
	case errors.Is(failure, errLogin):
		writeError(w, http.StatusUnauthorized, errLogin)
	default:
		if r.Context().Err() == nil {
			l.log.Error("login failed", slog.Any("error", failure))
		}
		writeError(w, http.StatusInternalServerError, &wire.Error{Name: "InternalError", Message: "The login failed for a reason of the server's"})
	}
}

func (l *login) sign(ctx context.Context, in credentials) (*auth.Token, error) {
	granted, err := l.check(ctx, in)
	if err != nil {
		return nil, err
	}
	return l.tokens.Sign(ctx, granted)
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

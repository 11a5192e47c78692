package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"log/slog"
	"net/http"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/login"
	"github.com/socketcluster-go/socketcluster/wire"
)

// credentials are the data of a login.
type credentials struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

func newHandler(key string, u *users) (*socketcluster.Server, http.Handler, error) {
	srv, err := socketcluster.New(socketcluster.Config{Auth: auth.Options{Key: key}})
	if err != nil {
		return nil, nil, err
	}
	gate, err := login.New(srv, login.Options{})
	if err != nil {
		return nil, nil, err
	}
	socketcluster.On(srv, socketcluster.AuditLog(slog.Default()))
	check := func(in credentials) func(context.Context) (claims, error) {
		return func(ctx context.Context) (claims, error) { return u.check(ctx, in.Username, in.Password) }
	}

	srv.Handle("login", socketcluster.Proc(func(ctx context.Context, in credentials) error {
		s := socketcluster.FromContext(ctx)
		user, err := login.Do(ctx, gate, login.Attempt{User: in.Username, Socket: s}, check(in))
		if err != nil {
			return err
		}
		return s.SetAuthToken(ctx, user.Result, auth.AuthTime(user.LoginTime))
	}))
	srv.Handle("whoami", socketcluster.Func(whoami))

	mux := http.NewServeMux()
	mux.Handle("GET "+socketcluster.DefaultPath, srv)
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		var in credentials
		if !login.ReadJSON(w, r, &in) {
			return
		}
		user, err := login.Do(r.Context(), gate, login.Attempt{User: in.Username, Request: r}, check(in))
		var token *auth.Token
		if err == nil {
			token, err = srv.Auth().Sign(r.Context(), user.Result, auth.AuthTime(user.LoginTime))
		}
		if err != nil {
			if !errors.As(err, new(*wire.Error)) {
				log.Print("login: ", err)
			}
			login.WriteError(w, err) // without the text of an internal error
			return
		}
		writeJSON(w, http.StatusOK, map[string]string{"token": token.Signed()})
	})
	// Pages of other origins must not make a visitor's browser log in.
	return srv, srv.Authenticator().Protect(mux), nil
}

// whoami reads the token, wherever the client got it.
func whoami(ctx context.Context, _ socketcluster.None) (claims, error) {
	user, ok := socketcluster.Claims[claims](socketcluster.FromContext(ctx))
	if !ok {
		return claims{}, socketcluster.Errorf("AuthError", "You are not logged in")
	}
	return user, nil
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may be gone
}

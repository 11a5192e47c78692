package login_test

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/password"
	"github.com/socketcluster-go/socketcluster/login"
)

type credentials struct{ Username, Password string }

type claims struct {
	Username string `json:"username"`
}

// A login over a socket and one over HTTP share the limits.
func ExampleProc() {
	srv, err := socketcluster.New(socketcluster.Config{})
	if err != nil {
		panic(err)
	}
	gate, err := login.New(srv, login.Options{})
	if err != nil {
		panic(err)
	}
	var passwords password.Hasher
	hashes := map[string]string{} // of a database, by the normal form of the name
	check := func(in credentials) func(context.Context) (claims, error) {
		return func(ctx context.Context) (claims, error) {
			name := login.NormalName(in.Username)
			good, err := passwords.Verify(ctx, hashes[name], in.Password)
			if err != nil {
				return claims{}, err
			}
			if !good {
				return claims{}, login.ErrInvalidCredentials
			}
			return claims{name}, nil
		}
	}

	srv.Handle("login", socketcluster.Proc(func(ctx context.Context, in credentials) error {
		s := socketcluster.FromContext(ctx)
		granted, err := login.Do(ctx, gate, login.Attempt{User: in.Username, Socket: s}, check(in))
		if err != nil {
			return err
		}
		return s.SetAuthToken(ctx, granted.Result, auth.AuthTime(granted.LoginTime))
	}))
	http.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		var in credentials
		if !login.ReadJSON(w, r, &in) {
			return
		}
		granted, err := login.Do(r.Context(), gate, login.Attempt{User: in.Username, Request: r}, check(in))
		if err != nil {
			login.WriteError(w, err)
			return
		}
		token, err := srv.Auth().Sign(r.Context(), granted.Result, auth.AuthTime(granted.LoginTime))
		if err != nil {
			login.WriteError(w, err)
			return
		}
		json.NewEncoder(w).Encode(map[string]string{"token": token.Signed()})
	})
}

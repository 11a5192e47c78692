// Command login-chi is the HTTP flow with the router chi: a route logs users
// in, and other routes and the sockets accept its token.
//
//	AUTH_KEY=$(openssl rand -hex 32) PASSWORD=secret go run ./login-chi
//	curl -H 'Content-Type: application/json' -d '{"username":"alice","password":"secret"}' localhost:8000/login
//	curl -H 'Authorization: Bearer …' localhost:8000/me
//
// The same with net/http alone is login-http.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/httpauth"
	"github.com/socketcluster-go/socketcluster/login"
	"github.com/socketcluster-go/socketcluster/wire"
)

// claims are the claims of the token. Everybody who has it can read them: keep
// secrets out.
type claims struct {
	Username string `json:"username"`
}

// credentials are the data of a login.
type credentials struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

func main() {
	users, err := newUsers(context.Background(), os.Getenv("PASSWORD"))
	if err != nil {
		log.Fatal(err)
	}
	srv, handler, err := newHandler(os.Getenv("AUTH_KEY"), users)
	if err != nil {
		log.Fatal(err)
	}
	web := &http.Server{Addr: ":8000", Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	if err := srv.Run(web); err != nil {
		log.Fatal(err)
	}
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
	srv.Handle("whoami", socketcluster.Func(whoami))

	router := chi.NewRouter()
	router.Use(middleware.Recoverer)
	// This is not in the group: a socket lives longer than the timeout of a
	// request, and middleware that wraps the ResponseWriter may prevent the
	// upgrade.
	router.Handle(socketcluster.DefaultPath, srv)
	router.Group(func(r chi.Router) {
		r.Use(middleware.Timeout(10*time.Second), middleware.Compress(5))
		// Pages of other origins must not make a visitor's browser log in.
		r.With(srv.Authenticator().Protect, middleware.AllowContentType("application/json"), middleware.RequestSize(4096)).
			Post("/login", logIn(srv, gate, u))
		r.With(srv.Authenticator().Require).Get("/me", me)
	})
	return srv, router, nil
}

// logIn responds with a token if the password is right.
func logIn(srv *socketcluster.Server, gate *login.Gate, u *users) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in credentials
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			http.Error(w, "The body must be JSON with a username and a password", http.StatusBadRequest)
			return
		}
		user, err := login.Do(r.Context(), gate, login.Attempt{User: in.Username, Request: r}, func(ctx context.Context) (claims, error) {
			name, err := u.check(ctx, in.Username, in.Password)
			return claims{name}, err
		})
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
		writeJSON(w, map[string]string{"token": token.Signed()})
	}
}

// me is for requests that have passed Authenticator.Require.
func me(w http.ResponseWriter, r *http.Request) {
	user, _ := httpauth.Claims[claims](r.Context())
	writeJSON(w, user)
}

// whoami is the same over a socket.
func whoami(ctx context.Context, _ socketcluster.None) (claims, error) {
	user, ok := socketcluster.Claims[claims](socketcluster.FromContext(ctx))
	if !ok {
		return claims{}, socketcluster.Errorf("AuthError", "You are not logged in")
	}
	return user, nil
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client may be gone
}

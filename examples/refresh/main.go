// Command refresh replaces the tokens of connected clients before they expire,
// so that users who stay connected stay logged in.
//
//	export AUTH_KEY=$(openssl rand -hex 32) PASSWORD=secret
//	go run ./refresh           # the server does it
//	go run ./refresh -by-hand  # the application does it
//
// It serves sockets at ws://localhost:8000/socketcluster/ with the procedures
// login, for alice and bob, and logout.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"log"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/login"
)

const (
	renewEvery = 25 * time.Minute
	tokenLife  = 30 * time.Minute
)

// credentials are the data of a login.
type credentials struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

func main() {
	byHand := flag.Bool("by-hand", false, "renew tokens in the application's code")
	flag.Parse()
	users, err := newUsers(context.Background(), os.Getenv("PASSWORD"))
	if err != nil {
		log.Fatal(err)
	}
	srv, err := newServer(os.Getenv("AUTH_KEY"), *byHand, users)
	if err != nil {
		log.Fatal(err)
	}
	web := &http.Server{Addr: ":8000", Handler: srv, ReadHeaderTimeout: 5 * time.Second}
	if err := srv.Run(web); err != nil {
		log.Fatal(err)
	}
}

func newServer(key string, byHand bool, u *users) (*socketcluster.Server, error) {
	cfg := socketcluster.Config{Auth: auth.Options{Key: key, DefaultExpiry: tokenLife}}
	if !byHand {
		// This line is all that is needed.
		cfg.TokenRenewal = socketcluster.TokenRenewal{Every: renewEvery, ExpiresIn: tokenLife}
	}
	srv, err := socketcluster.New(cfg)
	if err != nil {
		return nil, err
	}
	if byHand {
		renewByHand(srv)
	}
	gate, err := login.New(srv, login.Options{})
	if err != nil {
		return nil, err
	}
	socketcluster.On(srv, socketcluster.AuditLog(slog.Default()))
	srv.Handle("login", socketcluster.Proc(func(ctx context.Context, in credentials) error {
		s := socketcluster.FromContext(ctx)
		attempt := login.Attempt{User: in.Username, Socket: s}
		user, err := login.Do(ctx, gate, attempt, func(ctx context.Context) (string, error) { return u.check(ctx, in.Username, in.Password) })
		if err != nil {
			return err
		}
		return s.SetAuthToken(ctx, map[string]string{"username": user.Result}, auth.AuthTime(user.LoginTime))
	}))
	srv.Handle("logout", socketcluster.Proc(logout))
	return srv, nil
}

// renewByHand is for applications that decide on each renewal, for example by
// asking a database whether the user still exists.
func renewByHand(srv *socketcluster.Server) {
	socketcluster.On(srv, func(e socketcluster.ConnectEvent) {
		timer := time.AfterFunc(renewEvery, func() {
			renew(e.Socket)
		})
		timer.Stop() // until there is a token
		socketcluster.On(e.Socket, func(socketcluster.AuthenticateEvent) { timer.Reset(renewEvery) })
		socketcluster.On(e.Socket, func(socketcluster.DisconnectEvent) { timer.Stop() })
	})
}

// renew gives a socket a new token with the claims of its old one. Its jti must
// be random: a revocation by jti ends every token that has it, so with numbers,
// which start again in each process, it would end those of strangers. If there
// is a logout or another login between reading and setting the token,
// SetAuthTokenIf changes nothing.
func renew(s *socketcluster.Socket) {
	old := s.AuthToken()
	if old == nil {
		return // logged out; the next login starts the timer again
	}
	var claims map[string]json.RawMessage
	if err := old.Claims(&claims); err != nil {
		log.Printf("read the token of socket %s: %v", s.ID(), err)
		return
	}
	for _, name := range []string{"iat", "exp", "nbf", "jti"} {
		delete(claims, name)
	}
	err := s.SetAuthTokenIf(s.Context(), old, claims, auth.ExpiresIn(tokenLife), auth.JWTID(rand.Text()))
	if err != nil && !errors.Is(err, socketcluster.ErrTokenChanged) {
		log.Printf("renew the token of socket %s: %v", s.ID(), err)
	}
}

func logout(ctx context.Context, _ socketcluster.None) error {
	socketcluster.FromContext(ctx).Deauthenticate(ctx)
	return nil
}

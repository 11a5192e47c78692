// Command refresh replaces the tokens of connected clients before they expire,
// so that who stays connected stays logged in.
//
//	go run ./refresh           # the server does it
//	go run ./refresh -by-hand  # the application does it
//
// It serves sockets at ws://localhost:8000/socketcluster/ with the procedures
// login and logout.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"log"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/examples/internal/web"
)

const (
	renewEvery = 25 * time.Minute
	tokenLife  = 30 * time.Minute
)

func main() {
	byHand := flag.Bool("by-hand", false, "renew tokens in the application's code")
	flag.Parse()
	srv, err := newServer(*byHand)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(web.ListenAndServe(":8000", srv))
}

func newServer(byHand bool) (*socketcluster.Server, error) {
	cfg := socketcluster.Config{AuthDefaultExpiry: tokenLife}
	if !byHand {
		// This line is all that it takes.
		cfg.TokenRenewal = socketcluster.TokenRenewal{Every: renewEvery, ExpiresIn: tokenLife}
	}
	srv, err := socketcluster.New(cfg)
	if err != nil {
		return nil, err
	}
	if byHand {
		renewByHand(srv)
	}
	srv.Handle("login", socketcluster.Func(login))
	srv.Handle("logout", socketcluster.Func(logout))
	return srv, nil
}

// renewByHand is for applications that decide on each renewal, for example by
// asking a database whether the user still exists.
func renewByHand(srv *socketcluster.Server) {
	var jwtID atomic.Int64
	socketcluster.On(srv, func(e socketcluster.ConnectEvent) {
		timer := time.AfterFunc(renewEvery, func() {
			renew(e.Socket, strconv.FormatInt(jwtID.Add(1), 10))
		})
		timer.Stop() // until there is a token
		socketcluster.On(e.Socket, func(socketcluster.AuthenticateEvent) { timer.Reset(renewEvery) })
		socketcluster.On(e.Socket, func(socketcluster.DisconnectEvent) { timer.Stop() })
	})
}

// renew gives a socket a new token with the claims of its old one. A logout
// between the two lines that read and set the token would be undone;
// Config.TokenRenewal has no such gap.
func renew(s *socketcluster.Socket, jwtID string) {
	claims, ok := socketcluster.Claims[map[string]json.RawMessage](s)
	if !ok {
		return // logged out; the next login starts the timer again
	}
	for _, name := range []string{"iat", "exp", "nbf", "jti"} {
		delete(claims, name)
	}
	if err := s.SetAuthToken(s.Context(), claims, auth.ExpiresIn(tokenLife), auth.JWTID(jwtID)); err != nil {
		log.Printf("renew the token of socket %s: %v", s.ID(), err)
	}
}

// login takes everybody; the other examples show how to check a password.
func login(ctx context.Context, c *socketcluster.Call, username string) (socketcluster.None, error) {
	return socketcluster.None{}, c.Socket.SetAuthToken(ctx, map[string]string{"username": username})
}

func logout(ctx context.Context, c *socketcluster.Call, _ socketcluster.None) (socketcluster.None, error) {
	return socketcluster.None{}, c.Socket.Deauthenticate(ctx)
}

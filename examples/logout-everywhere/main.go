// Command logout-everywhere logs a user out on all devices at once, or on all
// except the one that requests it.
//
//	AUTH_KEY=$(openssl rand -hex 32) PASSWORD=secret go run ./logout-everywhere
//
// Clients call these procedures over ws://localhost:8000/socketcluster/:
//
//	login             {username, password}      alice and bob may
//	devices                                     when each of the user's devices has logged in
//	logout                                      this device, with all its tabs
//	logoutEverywhere  {keepThis, disconnect}    all devices, or all others
//
// A device is a session: its tokens have one sid, which they keep when they are
// renewed, so that all tabs of a browser are the same device.
package main

import (
	"context"
	"crypto/rand"
	"log"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/login"
)

// life is the time for which a token is valid, and so the time for which a
// revocation must be kept.
const life = time.Hour

// claims name the user and the device, in the names that revocations know.
type claims struct {
	User    string `json:"sub"`
	Session string `json:"sid"`
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

// app is the server, with everything that its procedures need.
type app struct {
	srv      *socketcluster.Server
	gate     *login.Gate
	users    *users
	sessions *sessions
}

func newHandler(key string, u *users) (*socketcluster.Server, http.Handler, error) {
	srv, err := socketcluster.New(socketcluster.Config{
		Auth: auth.Options{Key: key, DefaultExpiry: life},
		// Memory is lost when the process ends, but tokens stay valid as long
		// as the key stays the same. If revoked tokens must stay revoked after
		// a restart, use a revoke.Store here that keeps them in a database.
		Revocations: new(revoke.Memory),
	})
	if err != nil {
		return nil, nil, err
	}
	gate, err := login.New(srv, login.Options{})
	if err != nil {
		return nil, nil, err
	}
	socketcluster.On(srv, socketcluster.AuditLog(slog.Default()))
	a := &app{srv: srv, gate: gate, users: u, sessions: newSessions()}
	srv.Handle("login", socketcluster.Proc(a.login))
	srv.Handle("devices", socketcluster.Func(a.devices))
	srv.Handle("logout", socketcluster.Proc(a.logout))
	srv.Handle("logoutEverywhere", socketcluster.Proc(a.logoutEverywhere))
	mux := http.NewServeMux()
	mux.Handle("GET "+socketcluster.DefaultPath, srv)
	return srv, mux, nil
}

func (a *app) login(ctx context.Context, in credentials) error {
	s := socketcluster.FromContext(ctx)
	attempt := login.Attempt{User: in.Username, Socket: s}
	granted, err := login.Do(ctx, a.gate, attempt, func(ctx context.Context) (claims, error) {
		name, err := a.users.check(ctx, in.Username, in.Password)
		return claims{name, rand.Text()}, err
	})
	if err != nil {
		return err
	}
	me := granted.Result
	a.sessions.add(me.User, me.Session)
	return s.SetAuthToken(ctx, me, auth.AuthTime(granted.LoginTime))
}

func (a *app) devices(ctx context.Context, _ socketcluster.None) ([]time.Time, error) {
	me, err := whoIs(socketcluster.FromContext(ctx))
	if err != nil {
		return nil, err
	}
	return a.sessions.times(me.User), nil
}

func (a *app) logout(ctx context.Context, _ socketcluster.None) error {
	me, err := whoIs(socketcluster.FromContext(ctx))
	if err != nil {
		return err
	}
	return a.end(ctx, me.User, me.Session, false)
}

// everywhere has the options of a logout everywhere.
type everywhere struct {
	KeepThis   bool `json:"keepThis"`   // not on the device that requests it
	Disconnect bool `json:"disconnect"` // the connections end too; that of the caller perhaps before its answer
}

func (a *app) logoutEverywhere(ctx context.Context, in everywhere) error {
	me, err := whoIs(socketcluster.FromContext(ctx))
	if err != nil {
		return err
	}
	if in.KeepThis {
		for _, session := range a.sessions.others(me.User, me.Session) {
			if err := a.end(ctx, me.User, session, in.Disconnect); err != nil {
				return err
			}
		}
		return nil
	}
	// This revokes everything that was issued until now, and needs no list of
	// sessions.
	a.sessions.removeAll(me.User)
	return a.srv.Revoke(ctx, revoke.Revocation{
		Subject: me.User, Until: time.Now().Add(life), Disconnect: in.Disconnect, Reason: "logout everywhere",
	})
}

// end logs out a device: all its sockets now, and its token for good.
func (a *app) end(ctx context.Context, user, session string, disconnect bool) error {
	a.sessions.remove(user, session)
	return a.srv.Revoke(ctx, revoke.Revocation{
		Session: session, Until: time.Now().Add(life), Disconnect: disconnect, Reason: "logout",
	})
}

func whoIs(s *socketcluster.Socket) (claims, error) {
	me, ok := socketcluster.Claims[claims](s)
	if !ok {
		return claims{}, socketcluster.Errorf("AuthError", "You are not logged in")
	}
	return me, nil
}

// Command cookies keeps the login in a cookie that no script can read, so a
// malicious script in the page cannot steal it.
//
//	AUTH_KEY=$(openssl rand -hex 32) PASSWORD=secret go run ./cookies
//
// It serves http://localhost:8000/ with one user, alice. The name matters:
// without TLS, browsers accept cookies that are marked Secure only from
// http://localhost.
package main

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/httpauth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/browser"
	"github.com/socketcluster-go/socketcluster/login"
)

const (
	// Browsers accept a cookie whose name begins with __Host- only from this
	// host, and not from a neighbour in the same domain.
	cookieName = "__Host-token"

	// loginLife is the duration of a login, however often its cookie is
	// renewed.
	loginLife = 12 * time.Hour
)

//go:embed index.html
var page []byte

// claims are the claims of the token.
type claims struct {
	Username string `json:"username"`
	Session  string `json:"sid"` // by which a logout finds the sockets of this login
}

func main() {
	addr := flag.String("addr", "localhost:8000", "the address to listen at")
	life := flag.Duration("token-life", 15*time.Minute, "life of a cookie that is not renewed")
	flag.Parse()
	srv, handler, err := newHandler(os.Getenv("AUTH_KEY"), os.Getenv("PASSWORD"), *life)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening on", listener.Addr())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := srv.Serve(ctx, &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}, listener); err != nil {
		log.Fatal(err)
	}
}

func newHandler(key, password string, life time.Duration) (*socketcluster.Server, http.Handler, error) {
	srv, err := socketcluster.New(socketcluster.Config{
		Auth:         auth.Options{Key: key, DefaultExpiry: life},
		AuthMaxAge:   loginLife,
		TokenSources: []httpauth.Source{httpauth.Cookie(cookieName)},
		Revocations:  &revoke.Memory{},
	})
	if err != nil {
		return nil, nil, err
	}
	gate, err := login.New(srv, login.Options{})
	if err != nil {
		return nil, nil, err
	}
	socketcluster.On(srv, socketcluster.AuditLog(slog.Default()))
	srv.Handle("whoami", socketcluster.Func(whoami))
	s := &site{srv, gate, password, max(life, loginLife)}

	mux := http.NewServeMux()
	mux.Handle("GET "+socketcluster.DefaultPath, srv)
	mux.Handle("GET /client.js", browser.Handler())
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { w.Write(page) })
	mux.HandleFunc("POST /login", s.login)
	// Ordinary routes identify the user by the same cookie.
	authenticator := srv.Authenticator()
	mux.Handle("GET /me", authenticator.Require(http.HandlerFunc(me)))
	mux.Handle("POST /refresh", authenticator.Require(http.HandlerFunc(s.refresh)))
	mux.Handle("POST /logout", authenticator.Require(http.HandlerFunc(s.logout)))
	// Pages of other origins must not log anybody in or out.
	return srv, authenticator.Protect(mux), nil
}

type site struct {
	srv      *socketcluster.Server
	gate     *login.Gate
	password string
	longest  time.Duration // the longest time for which a cookie of a login may be valid
}

func (s *site) login(w http.ResponseWriter, r *http.Request) {
	var in struct{ Username, Password string }
	if !login.ReadJSON(w, r, &in) {
		return
	}
	user, err := login.Do(r.Context(), s.gate, login.Attempt{User: in.Username, Request: r}, func(context.Context) (claims, error) {
		right := subtle.ConstantTimeCompare([]byte(in.Password), []byte(s.password)) == 1
		name := login.NormalName(in.Username)
		if s.password == "" || name != "alice" || !right {
			return claims{}, login.ErrInvalidCredentials
		}
		return claims{Username: name, Session: rand.Text()}, nil
	})
	if err != nil {
		login.WriteError(w, err)
		return
	}
	token, err := s.srv.Auth().Sign(r.Context(), user.Result, auth.AuthTime(user.LoginTime))
	if err == nil {
		err = answer(w, token)
	}
	if err != nil {
		log.Print(err)
		http.Error(w, "The login failed", http.StatusInternalServerError)
	}
}

// answer sets the cookie, and returns the number of seconds for which it is
// valid.
func answer(w http.ResponseWriter, token *auth.Token) error {
	if err := httpauth.SetCookie(w, cookieName, token); err != nil {
		return err
	}
	end, _ := token.ExpiresAt()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	return json.NewEncoder(w).Encode(map[string]int{"expiresIn": int(time.Until(end).Seconds())})
}

// refresh renews the cookie, and the login of the open sockets: they continue
// without a reconnect, and no script sees the token.
func (s *site) refresh(w http.ResponseWriter, r *http.Request) {
	user, _ := httpauth.Claims[claims](r.Context())
	token, err := s.srv.SignAgain(r.Context(), httpauth.FromContext(r.Context()))
	if err != nil {
		log.Print(err)
		http.Error(w, "Log in again", http.StatusUnauthorized)
		return
	}
	// If one socket fails, the others still get the new cookie.
	if _, err := s.srv.RenewSession(r.Context(), user.Session, token); err != nil {
		log.Print(err)
	}
	if err := answer(w, token); err != nil {
		log.Print(err)
	}
}

// logout ends the login in all tabs of the browser: it removes the cookie,
// revokes the token in it, and logs out the sockets that have it.
func (s *site) logout(w http.ResponseWriter, r *http.Request) {
	user, _ := httpauth.Claims[claims](r.Context())
	// The exp of this cookie would be too early: a refresh during the logout
	// may have signed another one, which lives longer.
	until := time.Now().Add(s.longest)
	err := s.srv.Revoke(r.Context(), revoke.Revocation{Session: user.Session, Until: until})
	if err == nil {
		err = httpauth.ClearCookie(w, cookieName)
	}
	if err != nil {
		log.Print(err)
		http.Error(w, "The logout failed", http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// me is a route without a socket.
func me(w http.ResponseWriter, r *http.Request) {
	user, _ := httpauth.Claims[claims](r.Context())
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	json.NewEncoder(w).Encode(map[string]string{"username": user.Username})
}

func whoami(ctx context.Context, _ socketcluster.None) (string, error) {
	user, ok := socketcluster.Claims[claims](socketcluster.FromContext(ctx))
	if !ok {
		return "", socketcluster.Errorf("AuthError", "You are not logged in")
	}
	return user.Username, nil
}

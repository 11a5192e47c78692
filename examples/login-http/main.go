// Command login-http logs users in over HTTP with a token that it signs itself.
// Any JWT library will do, even that of a backend in another language, if it
// has the key of the socket server.
//
//	AUTH_KEY=$(openssl rand -hex 32) PASSWORD=secret go run ./login-http
//	curl -H 'Content-Type: application/json' -d '{"username":"alice","password":"secret"}' localhost:8000/login
//	curl -H 'Authorization: Bearer …' localhost:8000/me
//
// Before a page connects, it stores the token in localStorage, under the name
// in the option authTokenName of its client. The client then presents it in its
// handshake.
package main

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"log"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/httpauth"
	"github.com/socketcluster-go/socketcluster/login"
)

// claims are the claims of the token. Everybody who has it can read them: keep
// secrets out.
type claims struct {
	Username  string           `json:"username"`
	LoginTime *jwt.NumericDate `json:"auth_time"` // for revoking all logins of the user
	jwt.RegisteredClaims
}

func main() {
	srv, handler, err := newHandler(os.Getenv("AUTH_KEY"), os.Getenv("PASSWORD"))
	if err != nil {
		log.Fatal(err)
	}
	web := &http.Server{Addr: ":8000", Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	if err := srv.Run(web); err != nil {
		log.Fatal(err)
	}
}

// newHandler serves the login of one user, alice, and the sockets.
func newHandler(key, password string) (*socketcluster.Server, http.Handler, error) {
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

	mux := http.NewServeMux()
	mux.Handle("GET "+socketcluster.DefaultPath, srv)
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Username, Password string }
		if !login.ReadJSON(w, r, &in) {
			return
		}
		attempt := login.Attempt{User: in.Username, Request: r}
		user, err := login.Do(r.Context(), gate, attempt, func(context.Context) (string, error) {
			name := login.NormalName(in.Username)
			right := subtle.ConstantTimeCompare([]byte(in.Password), []byte(password)) == 1
			if password == "" || name != "alice" || !right {
				return "", login.ErrInvalidCredentials
			}
			return name, nil
		})
		var token string
		if err == nil {
			token, err = sign(key, user.Result, user.LoginTime)
		}
		if err != nil {
			login.WriteError(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]string{"token": token})
	})
	mux.Handle("GET /me", srv.Authenticator().Require(http.HandlerFunc(me)))
	// Pages of other origins must not make a visitor's browser log in.
	return srv, srv.Authenticator().Protect(mux), nil
}

// sign needs only the key of the socket server.
func sign(key, username string, loginTime time.Time) (string, error) {
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		Username:  username,
		LoginTime: jwt.NewNumericDate(loginTime),
		RegisteredClaims: jwt.RegisteredClaims{
			IssuedAt:  jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(30 * time.Minute)),
		},
	})
	return token.SignedString([]byte(key))
}

// me serves requests that have passed Authenticator.Require.
func me(w http.ResponseWriter, r *http.Request) {
	user, _ := httpauth.Claims[claims](r.Context())
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]string{"username": user.Username})
}

// whoami is the same over a socket.
func whoami(ctx context.Context, _ socketcluster.None) (string, error) {
	user, ok := socketcluster.Claims[claims](socketcluster.FromContext(ctx))
	if !ok {
		return "", socketcluster.Errorf("AuthError", "You are not logged in")
	}
	return user.Username, nil
}

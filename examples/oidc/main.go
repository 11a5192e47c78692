// Command oidc logs users in through an OpenID Connect provider, with the
// authorization code flow and PKCE, and keeps the login in a cookie that no
// script can read.
//
//	AUTH_KEY=$(openssl rand -hex 32) OIDC_CLIENT_SECRET=… \
//	go run ./oidc -issuer https://accounts.example.com -client-id …
//
// Register http://localhost:8000/callback as a redirect address at the
// provider.
package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/oauth2"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/httpauth"
	"github.com/socketcluster-go/socketcluster/auth/oidc"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/browser"
)

//go:embed index.html
var page []byte

func main() {
	addr := flag.String("addr", "localhost:8000", "the address to listen at")
	issuer := flag.String("issuer", os.Getenv("OIDC_ISSUER"), "the issuer address of the provider (OIDC_ISSUER)")
	clientID := flag.String("client-id", os.Getenv("OIDC_CLIENT_ID"), "the name of this site at the provider (OIDC_CLIENT_ID)")
	url := flag.String("url", "", "the address of this site for browsers (default http://localhost and the port)")
	flag.Parse()
	if err := run(*addr, *url, *issuer, *clientID); err != nil {
		log.Fatal(err)
	}
}

func run(addr, url, issuer, clientID string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	provider, err := oidc.Discover(ctx, oidc.Options{Issuer: issuer, ClientIDs: []string{clientID}})
	if err != nil {
		return err
	}
	defer provider.Close()
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	if url == "" {
		url = fmt.Sprintf("http://localhost:%d", listener.Addr().(*net.TCPAddr).Port)
	}
	srv, handler, err := newHandler(provider, oauth2.Config{
		ClientID:     clientID,
		ClientSecret: os.Getenv("OIDC_CLIENT_SECRET"),
		Endpoint:     provider.Endpoint(),
		RedirectURL:  url + "/callback",
		Scopes:       []string{"openid"},
	}, os.Getenv("AUTH_KEY"))
	if err != nil {
		return err
	}
	fmt.Println("listening on", listener.Addr())
	stopped, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return srv.Serve(stopped, &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}, listener)
}

func newHandler(provider *oidc.Provider, oauth oauth2.Config, key string) (*socketcluster.Server, http.Handler, error) {
	own, err := auth.NewKeyRing(auth.RingKey{ID: "own", Key: auth.HMACKey([]byte(key))})
	if err != nil {
		return nil, nil, err
	}
	srv, err := socketcluster.New(socketcluster.Config{
		// The own key signs. The provider's keys are for programs that have
		// obtained an ID token themselves and present it in their handshake;
		// leave them out if there are none.
		Auth:         auth.Options{Keys: auth.KeySources{own, provider}, DefaultExpiry: loginLife},
		TokenSources: []httpauth.Source{httpauth.Cookie(cookieName)},
		Revocations:  &revoke.Memory{},
	})
	if err != nil {
		return nil, nil, err
	}
	srv.Handle("whoami", socketcluster.Func(whoami))
	s := &site{srv, provider, oauth}

	mux := http.NewServeMux()
	mux.Handle("GET "+socketcluster.DefaultPath, srv)
	mux.Handle("GET /client.js", browser.Handler())
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { w.Write(page) })
	mux.HandleFunc("GET /login", s.login)
	mux.HandleFunc("GET /callback", s.callback)
	mux.Handle("POST /logout", srv.Authenticator().Require(http.HandlerFunc(s.logout)))
	return srv, mux, nil
}

func whoami(ctx context.Context, _ socketcluster.None) (string, error) {
	user, ok := socketcluster.Claims[claims](socketcluster.FromContext(ctx))
	if !ok {
		return "", socketcluster.Errorf("AuthError", "You are not logged in")
	}
	return user.Subject, nil
}

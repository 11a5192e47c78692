// Command multi-tab serves a page whose tabs log in and out together. The
// interesting part is tabs.js; the server is an ordinary one.
//
//	PASSWORD=secret go run ./multi-tab
//
// It prints the address of the page, by default http://localhost:8000/.
package main

import (
	"context"
	"embed"
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
	"github.com/socketcluster-go/socketcluster/browser"
	"github.com/socketcluster-go/socketcluster/login"
)

//go:embed index.html tabs.js
var page embed.FS

// claims are the claims of the token: tabs.js reads the username.
type claims struct {
	Username string `json:"username"`
}

// credentials are the data of a login.
type credentials struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

func main() {
	addr := flag.String("addr", "localhost:8000", "listen on this `address`")
	flag.Parse()
	if err := run(*addr); err != nil {
		log.Fatal(err)
	}
}

func run(addr string) error {
	users, err := newUsers(context.Background(), os.Getenv("PASSWORD"))
	if err != nil {
		return err
	}
	srv, handler, err := newHandler(os.Getenv("AUTH_KEY"), users)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Println("listening on", listener.Addr())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return srv.Serve(ctx, &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}, listener)
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
	srv.Handle("login", socketcluster.Proc(func(ctx context.Context, in credentials) error {
		s := socketcluster.FromContext(ctx)
		attempt := login.Attempt{User: in.Username, Socket: s}
		user, err := login.Do(ctx, gate, attempt, func(ctx context.Context) (claims, error) {
			name, err := u.check(ctx, in.Username, in.Password)
			return claims{name}, err
		})
		if err != nil {
			return err
		}
		return s.SetAuthToken(ctx, user.Result, auth.AuthTime(user.LoginTime))
	}))
	mux := http.NewServeMux()
	mux.Handle("GET "+socketcluster.DefaultPath, srv)
	mux.Handle("GET /client.js", browser.Handler())
	mux.Handle("/", http.FileServerFS(page))
	return srv, mux, nil
}

// Command login-postgres logs users in against PostgreSQL, with pgx and
// without database/sql in between.
//
//	export POSTGRES_URL=postgres://app:secret@localhost:5432/app AUTH_KEY=$(openssl rand -hex 32)
//	go run ./login-postgres -add alice # and type the password, which no history of the shell keeps then
//	go run ./login-postgres
//
// Clients call the procedure login over ws://localhost:8000/socketcluster/. For
// logins over HTTP, see login-http, login-chi and login-mysql.
package main

import (
	"bufio"
	"context"
	"flag"
	"log"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/login"
)

func main() {
	add := flag.String("add", "", "add the user with this `name` and the password on the standard input")
	flag.Parse()
	if err := run(context.Background(), *add); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, add string) error {
	pool, err := pgxpool.New(ctx, os.Getenv("POSTGRES_URL"))
	if err != nil {
		return err
	}
	defer pool.Close()
	u, err := openUsers(ctx, pool)
	if err != nil {
		return err
	}
	if add != "" {
		line := bufio.NewScanner(os.Stdin)
		line.Scan() // without a line, the password is empty, and refused
		return u.add(ctx, user{Username: add, Channels: []string{"user/" + login.NormalName(add)}}, line.Text())
	}
	srv, handler, err := newHandler(os.Getenv("AUTH_KEY"), u)
	if err != nil {
		return err
	}
	return srv.Run(&http.Server{Addr: ":8000", Handler: handler, ReadHeaderTimeout: 5 * time.Second})
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
	type credentials struct{ Username, Password string }
	srv.Handle("login", socketcluster.Proc(func(ctx context.Context, in credentials) error {
		s := socketcluster.FromContext(ctx)
		attempt := login.Attempt{User: in.Username, Socket: s}
		found, err := login.Do(ctx, gate, attempt, func(ctx context.Context) (user, error) {
			return u.check(ctx, in.Username, in.Password)
		})
		if err != nil {
			return err
		}
		return s.SetAuthToken(ctx, found.Result, auth.AuthTime(found.LoginTime))
	}))
	srv.Handle("whoami", socketcluster.Func(func(ctx context.Context, _ socketcluster.None) (user, error) {
		found, ok := socketcluster.Claims[user](socketcluster.FromContext(ctx))
		if !ok {
			return user{}, socketcluster.Errorf("AuthError", "You are not logged in")
		}
		return found, nil
	}))
	mux := http.NewServeMux()
	mux.Handle("GET "+socketcluster.DefaultPath, srv)
	return srv, mux, nil
}

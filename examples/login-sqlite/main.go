// Command login-sqlite logs users in over a socket. They are in an SQLite file,
// so that nothing else has to be installed or started.
//
//	export AUTH_KEY=$(openssl rand -hex 32)
//	go run ./login-sqlite -add alice # and type the password, which no history of the shell keeps then
//	go run ./login-sqlite
//
// Clients call the procedure login over ws://localhost:8000/socketcluster/.
// Their token names the channels that they may use.
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

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/login"
	"github.com/socketcluster-go/socketcluster/rules"
)

func main() {
	file := flag.String("db", "users.db", "keep the users in this `file`")
	add := flag.String("add", "", "add the user with this `name` and the password on the standard input")
	flag.Parse()
	if err := run(context.Background(), *file, *add); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, file, add string) error {
	u, err := openUsers(ctx, file)
	if err != nil {
		return err
	}
	defer u.close()
	if add != "" {
		line := bufio.NewScanner(os.Stdin)
		line.Scan() // without a line, the password is empty, and refused
		return u.add(ctx, add, line.Text(), []string{"news", "user/" + login.NormalName(add)})
	}
	srv, handler, err := newHandler(os.Getenv("AUTH_KEY"), u)
	if err != nil {
		return err
	}
	return srv.Run(&http.Server{Addr: ":8000", Handler: handler, ReadHeaderTimeout: 5 * time.Second})
}

// credentials are the data of a login.
type credentials struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// claims are the claims in the token of a user.
type claims struct {
	Username string   `json:"username"`
	Channels []string `json:"channels"`
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
	srv.UseInbound(rules.MustNew(rules.Rule{In: "channels"}).Middleware(nil))
	srv.Handle("login", socketcluster.Proc(func(ctx context.Context, in credentials) error {
		s := socketcluster.FromContext(ctx)
		attempt := login.Attempt{User: in.Username, Socket: s}
		user, err := login.Do(ctx, gate, attempt, func(ctx context.Context) (claims, error) {
			return u.check(ctx, in.Username, in.Password)
		})
		if err != nil {
			return err
		}
		return s.SetAuthToken(ctx, user.Result, auth.AuthTime(user.LoginTime))
	}))
	mux := http.NewServeMux()
	mux.Handle("GET "+socketcluster.DefaultPath, srv)
	return srv, mux, nil
}

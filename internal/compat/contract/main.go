// Command contract is a small server with a fixed behaviour, for tests of the
// library from outside: tests, benchmarks, and people with a client.
//
// It listens on 127.0.0.1:$PORT and takes its other settings from AUTH_KEY,
// ORIGINS (comma-separated) and PING_INTERVAL (milliseconds). For the benchmark
// there are PUBLISH_RATE (the publications of a client in a second, as it has one
// publisher), HANDLERS (more procedures like echo: echo.0, echo.1 and so on),
// COMPRESSION (its level), and TLS_CERT and TLS_KEY (files). With CLUSTER_LISTEN it is
// a node of a cluster, see startNode.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// claims are the claims in the tokens of this server.
type claims struct {
	Username string   `json:"username"`
	Channels []string `json:"channels"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		slog.Error("contract server failed", slog.Any("error", err))
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	cfg, err := config()
	if err != nil {
		return err
	}
	node, err := startNode(ctx, &cfg)
	if err != nil {
		return err
	}
	if node != nil {
		defer node.Close()
	}
	srv, err := socketcluster.New(cfg)
	if err != nil {
		return err
	}
	if node != nil {
		if err := serveNode(node, srv); err != nil {
			return err
		}
	}
	srv.Handle("echo", socketcluster.Func(echo))
	handlers, err := positive("HANDLERS")
	if err != nil {
		return err
	}
	for i := range handlers {
		srv.Handle("echo."+strconv.Itoa(i), socketcluster.Func(echo))
	}
	srv.Handle("login", socketcluster.Proc(login))
	socketcluster.Use(srv, func(_ context.Context, a *socketcluster.Subscribe) error {
		return guardPrivate(a.Socket, a.Channel, "SubscribeError")
	})
	socketcluster.Use(srv, func(_ context.Context, a *socketcluster.PublishIn) error {
		return guardPrivate(a.Socket, a.Channel, "PublishError")
	})
	return serve(ctx, srv)
}

// config reads the environment.
func config() (socketcluster.Config, error) {
	cfg := socketcluster.Config{Auth: auth.Options{Key: os.Getenv("AUTH_KEY"), AllowWeakKey: true}}
	if list := os.Getenv("ORIGINS"); list != "" {
		cfg.Origins = strings.Split(list, ",")
	}
	ms, err := positive("PING_INTERVAL")
	if err != nil {
		return cfg, err
	}
	cfg.Timeouts.PingInterval = time.Duration(ms) * time.Millisecond
	if cfg.Limits.PublishRate, err = positive("PUBLISH_RATE"); err != nil {
		return cfg, err
	}
	cfg.Compression.Level, err = positive("COMPRESSION")
	return cfg, err
}

// positive returns a positive number from the environment, or 0 if there is
// none.
func positive(name string) (int, error) {
	text := os.Getenv(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%s must be a number: %w", name, err)
	}
	if n <= 0 || n > math.MaxInt32 {
		return 0, fmt.Errorf("%s is %d: it must be above 0 and within 32 bits", name, n)
	}
	return n, nil
}

func echo(_ context.Context, in json.RawMessage) (json.RawMessage, error) {
	return in, nil
}

// login accepts anybody with a name.
func login(ctx context.Context, in json.RawMessage) error {
	// This is a map because names of struct fields match in any case.
	var credentials map[string]json.RawMessage
	_ = json.Unmarshal(in, &credentials)
	name, ok := wire.ParseString(credentials["username"])
	if !ok {
		return &wire.Error{Name: "LoginError", Message: "Invalid user credentials"}
	}
	return socketcluster.FromContext(ctx).SetAuthToken(ctx, claims{
		Username: name,
		Channels: []string{"news", "room/" + name, "user/" + name},
	})
}

// guardPrivate keeps sockets without a token out of private channels.
func guardPrivate(s *socketcluster.Socket, channel, errorName string) error {
	if strings.HasPrefix(channel, "private.") && s.AuthState() != socketcluster.Authenticated {
		return &wire.Error{Name: errorName, Message: "You must be logged in to use the " + channel + " channel"}
	}
	return nil
}

// serve listens until ctx ends, and then gives clients 8 seconds to leave.
func serve(ctx context.Context, srv *socketcluster.Server) error {
	port := os.Getenv("PORT")
	if port == "" {
		port = "8000"
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle(socketcluster.DefaultPath, srv)
	httpServer := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second}
	fmt.Println("listening on", listener.Addr())

	failed := make(chan error, 1)
	go func() {
		if cert := os.Getenv("TLS_CERT"); cert != "" {
			failed <- httpServer.ServeTLS(listener, cert, os.Getenv("TLS_KEY"))
			return
		}
		failed <- httpServer.Serve(listener)
	}()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	// Both at the same time: a slow request must not use up the time of the
	// sockets.
	sockets := make(chan error, 1)
	go func() { sockets <- srv.Shutdown(drain) }()
	err = errors.Join(httpServer.Shutdown(drain), <-sockets)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil // the clients that were left have been dropped
	}
	return err
}

// Command victim is a small server that is meant to be attacked: with a small
// memory budget, and limits that are quick to reach. It takes its settings from
// the environment, as JSON of socketcluster.Limits in LIMITS, and listens on a
// free port of 127.0.0.1, and on one for TLS that it names at /tls. It trusts
// X-Forwarded-For, so that one machine can act as many clients.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		slog.Error("victim failed", slog.Any("error", err))
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	cfg := socketcluster.Config{
		Auth:           auth.Options{Key: "victim-key-0123456789-0123456789-0"},
		TrustedProxies: []string{"127.0.0.0/8"},
		Compression:    socketcluster.Compression{Level: 1},
	}
	if err := json.Unmarshal([]byte(os.Getenv("LIMITS")), &cfg.Limits); err != nil {
		return fmt.Errorf("LIMITS: %w", err)
	}
	srv, err := socketcluster.New(cfg)
	if err != nil {
		return err
	}
	srv.Handle("echo", socketcluster.Func(echo))
	srv.Handle("slow", socketcluster.Func(slow), socketcluster.Concurrent(cfg.Limits.Calls))
	srv.Handle("serial", socketcluster.Func(stubborn))
	srv.HandleDefault(socketcluster.Func(stubborn).ServeCall)
	socketcluster.On(srv, func(e socketcluster.ConnectEvent) {
		for _, name := range []string{"loop", "loopb", "loopc"} {
			calls := e.Socket.Procedure(name).All()
			go func() {
				for c := range calls {
					time.Sleep(2 * time.Second)
					_ = c.Reply(1)
				}
			}()
		}
	})
	mux := http.NewServeMux()
	mux.Handle(socketcluster.DefaultPath, srv)
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(srv.Stats())
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	secure := httptest.NewUnstartedServer(mux)
	secure.Listener = smallBuffers{secure.Listener}
	secure.StartTLS()
	defer secure.Close()
	mux.HandleFunc("GET /tls", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, secure.Listener.Addr()) })
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 32 << 10}
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(smallBuffers{listener}) }()
	fmt.Println("listening on", listener.Addr())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	return errors.Join(srv.Close(), web.Close())
}

// smallBuffers keeps the kernel from accepting what should wait in the server.
type smallBuffers struct{ net.Listener }

func (l smallBuffers) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if tcp, ok := conn.(*net.TCPConn); ok {
		err = errors.Join(err, tcp.SetWriteBuffer(16<<10))
	}
	return conn, err
}

func echo(_ context.Context, in json.RawMessage) (json.RawMessage, error) {
	return in, nil
}

// slow is slow, unless the client has gone.
func slow(ctx context.Context, in json.RawMessage) (int, error) {
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
	}
	return len(in), nil
}

// stubborn is slow, even if the client has gone.
func stubborn(_ context.Context, in json.RawMessage) (int, error) {
	time.Sleep(time.Second)
	return len(in), nil
}

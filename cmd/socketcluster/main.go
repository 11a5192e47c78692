// Command socketcluster is the demo of this module: a socket server, a page
// that uses it, and two users to log in with. It needs nothing but Go:
//
//	go run ./cmd/socketcluster
//
// serves it at http://localhost:8000/ and prints the users and their
// passwords. The flag -help lists what can be set.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/socketcluster-go/socketcluster"
)

// drainTime is how long clients may take to go when the server stops. Docker
// and Kubernetes kill a process 10 and 30 seconds after the signal.
const drainTime = 8 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case errors.As(err, new(usageError)):
		os.Exit(2) // the flag package has told why
	case err != nil:
		fmt.Fprintln(os.Stderr, "socketcluster:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends. The banner goes to stdout, the log to stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseOptions(args, stderr)
	if err != nil {
		return err
	}
	level := slog.LevelInfo
	if o.quiet {
		level = slog.LevelWarn
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))

	d, err := newDemo(ctx, o, log)
	if err != nil {
		return err
	}
	defer d.users.Close()
	listener, err := net.Listen("tcp", o.addr)
	if err != nil {
		return errors.Join(err, d.sockets.Close())
	}
	if !o.quiet {
		fmt.Fprintf(stdout, "SocketCluster for Go: %s\n", siteURL(listener.Addr()))
		for _, a := range d.accounts {
			fmt.Fprintf(stdout, "  user %s, password %s\n", a.Username, a.Password)
		}
	}
	return serve(ctx, listener, d.handler, d.sockets, log)
}

// serve listens until ctx ends, and then gives the clients drainTime to go.
func serve(ctx context.Context, listener net.Listener, handler http.Handler, sockets *socketcluster.Server, log *slog.Logger) error {
	// The timeouts are those of the site: an upgraded connection is freed of
	// them.
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return errors.Join(err, sockets.Close())
	case <-ctx.Done():
	}
	log.Info("shutting down", slog.Int("clients", sockets.ClientsCount()))
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	// Side by side: a slow request must not use up the time of the sockets.
	ended := make(chan error, 1)
	go func() { ended <- sockets.Shutdown(drain) }()
	err := errors.Join(server.Shutdown(drain), <-ended)
	if errors.Is(err, context.DeadlineExceeded) {
		log.Warn("some clients were dropped, as they did not go in time")
		return nil
	}
	return err
}

// siteURL is an address as a browser on this machine can open it.
func siteURL(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port) + "/"
}

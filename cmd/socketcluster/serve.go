package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

// serveCommand serves the demo.
func serveCommand() *cobra.Command {
	var o options
	c := &cobra.Command{
		Use: "serve", Short: "Serves the demo; the default command",
		Long: "Serves the demo: sockets, a page that uses them, and two users. Flags without a command are those\n" +
			"of serve.\n\n" + settingsHelp,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			err := o.load(c.Flags())
			if err == nil {
				err = serve(c.Context(), o, c.OutOrStdout(), c.ErrOrStderr())
			}
			return withStatus(err, 1)
		},
	}
	addFlags(c, o.groups()...)
	return c
}

// serve serves until ctx ends. It writes the banner to out, and the log to
// stderr.
func serve(ctx context.Context, o options, out, stderr io.Writer) (err error) {
	level := slog.LevelInfo
	if o.quiet {
		level = slog.LevelWarn
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))

	if o.cluster.witness {
		return serveWitness(ctx, o, log)
	}
	if o.cluster.isCluster() {
		// The address is tried before the process joins the others. It is opened when the
		// server is there: until then, clients are refused, and try another node.
		listener, err := o.listen()
		if err == nil {
			err = listener.Close()
		}
		if err != nil {
			return err
		}
	}
	d, err := newDemo(ctx, o, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	listener, err := o.listen()
	if err != nil {
		return errors.Join(err, d.sockets.Close())
	}
	d.ops.begin(d.sockets, d.revocations)
	if !o.quiet {
		fmt.Fprintf(out, "SocketCluster for Go: %s\n", siteURL(listener.Addr()))
		for _, a := range d.accounts {
			fmt.Fprintf(out, "  user %s, password %s\n", a.Username, a.Password)
		}
	}
	serving, stop := later(ctx, o.stopDelay)
	defer stop()
	return d.serve(serving, listener, log)
}

// listen opens the address of the sockets and the site.
func (o *options) listen() (net.Listener, error) {
	listener, err := net.Listen("tcp", o.addr)
	if err != nil {
		return nil, o.placed(addrSetting, fmt.Errorf("the setting %s: %w", addrSetting, err))
	}
	return listener, nil
}

// later returns a context that ends so long after ctx.
func later(ctx context.Context, delay time.Duration) (context.Context, context.CancelFunc) {
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(delay):
			cancel()
		case <-late.Done():
		}
	})
	return late, func() {
		stop()
		cancel()
	}
}

// serve serves until ctx ends, and then gives the clients time to leave.
func (d *demo) serve(ctx context.Context, listener net.Listener, log *slog.Logger) error {
	// These timeouts are for the site: they do not apply to upgraded
	// connections.
	server := &http.Server{
		Handler:           d.handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	return d.sockets.Serve(ctx, server, listener)
}

// siteURL returns an address that a browser on this machine can open.
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

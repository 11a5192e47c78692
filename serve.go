package socketcluster

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

// Run listens at web.Addr and runs web, the HTTP server in which srv is
// mounted, until the process receives SIGINT or SIGTERM. Then it shuts down
// both, as [Server.Serve] does. A second signal ends the process at once. If
// web.TLSConfig has certificates, it serves HTTPS. An empty address means port
// 80 or, with HTTPS, 443.
//
// The error is that of [Server.Serve]: nil after a shutdown.
func (srv *Server) Run(web *http.Server) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal is not caught
	if c := web.TLSConfig; c != nil && (len(c.Certificates) > 0 || c.GetCertificate != nil || c.GetConfigForClient != nil) {
		return srv.serve(ctx, web, func() error { return web.ListenAndServeTLS("", "") })
	}
	return srv.serve(ctx, web, web.ListenAndServe)
}

// Serve runs web, the HTTP server in which srv is mounted, on a listener until
// ctx ends. Then it shuts down web and srv at the same time, see
// [Server.Shutdown], and drops the clients and requests that are left after
// Config.Timeouts.Shutdown. It returns when all connections have ended, and
// always closes the listener. It does not catch signals; [signal.NotifyContext]
// makes a context that ends with a signal.
//
// The error is nil after a shutdown, even after one that had to drop clients or
// that began with web.Shutdown. If web fails, Serve closes srv and returns the
// error of web. Neither srv nor web can be used again.
func (srv *Server) Serve(ctx context.Context, web *http.Server, listener net.Listener) error {
	return srv.serve(ctx, web, func() error { return web.Serve(listener) })
}

func (srv *Server) serve(ctx context.Context, web *http.Server, run func() error) error {
	var failed error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		failed = run()
	}()
	select {
	case <-ended:
		if !errors.Is(failed, http.ErrServerClosed) {
			return errors.Join(failed, srv.Close())
		}
	case <-ctx.Done():
	}
	err := srv.shutdownWith(context.WithoutCancel(ctx), web)
	<-ended
	return err
}

// shutdownWith shuts down both at the same time, so that a slow request does
// not use up the time of the sockets.
func (srv *Server) shutdownWith(ctx context.Context, web *http.Server) error {
	srv.log.Info("shutting down", slog.Int("clients", srv.NumClients()))
	ctx, cancel := context.WithTimeout(ctx, srv.cfg.Timeouts.Shutdown)
	defer cancel()
	sockets := make(chan error, 1)
	go func() { sockets <- srv.Shutdown(ctx) }()
	err := web.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.Join(err, web.Close())
	}
	err = errors.Join(err, <-sockets)
	if errors.Is(err, context.DeadlineExceeded) {
		srv.log.Warn("some clients were dropped because they did not leave within Config.Timeouts.Shutdown", slog.Any("error", err))
		return nil
	}
	return err
}

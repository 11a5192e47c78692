package socketcluster

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
)

// mounting records which mistakes in the mounting of the server have been logged.
// Each of them keeps out all clients, which cannot learn the reason. Requests of
// strangers can look the same, and must not fill the log. So each mistake is a
// warning once, and is logged at level Debug from then on.
type mounting struct {
	path, headers, writer atomic.Bool
}

func (srv *Server) logMounting(logged *atomic.Bool, message string, attrs ...slog.Attr) {
	level := slog.LevelWarn
	if logged.Swap(true) {
		level = slog.LevelDebug
	}
	srv.log.LogAttrs(context.Background(), level, message, attrs...)
}

// otherPath logs an upgrade request for a path that is not served.
func (srv *Server) otherPath(r *http.Request) {
	attrs := []slog.Attr{
		slog.String("path", truncate(r.URL.EscapedPath(), srv.cfg.Limits.ErrorText)),
		slog.String("Config.Path", srv.cfg.Path),
	}
	if p := srv.cfg.Protocol1Path; p != "" {
		attrs = append(attrs, slog.String("Config.Protocol1Path", p))
	}
	srv.logMounting(&srv.mounting.path, "upgrade refused: the path of the request is not the server's; it may be mounted at another path", attrs...)
}

// lostHeaders logs a request that was an upgrade request when a client sent it, as
// its other headers show: a proxy has removed Upgrade, which is meant for one
// connection only (RFC 9110, section 7.6.1).
func (srv *Server) lostHeaders(r *http.Request) {
	if r.Header.Get("Sec-WebSocket-Key") == "" || r.Header.Get("Upgrade") != "" {
		return
	}
	srv.logMounting(&srv.mounting.headers, "upgrade refused: the request has lost its Upgrade header; a proxy must pass on Upgrade and Connection, over HTTP/1.1",
		slog.String("protocol", r.Proto))
}

// wrappedWriter logs a connection that cannot be taken over.
func (srv *Server) wrappedWriter(w http.ResponseWriter, err error) {
	srv.logMounting(&srv.mounting.writer, "upgrade failed: a handler around the server, such as http.TimeoutHandler, wraps the http.ResponseWriter and has no method Unwrap or Hijack",
		slog.String("wrapper", innermost(w)), slog.Any("error", err))
}

// innermost returns the type of the innermost writer.
func innermost(w http.ResponseWriter) string {
	for {
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return fmt.Sprintf("%T", w)
		}
		w = u.Unwrap()
	}
}

package socketcluster

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
)

// mounting knows what the log has been told about how the server is mounted. Each
// of these mistakes keeps all clients out, who cannot be told what it is; strangers
// can look like it, and must not fill the log. So it is told once, and at level
// Debug from then on.
type mounting struct {
	path, headers, writer atomic.Bool
}

func (srv *Server) tellMounting(told *atomic.Bool, message string, attrs ...slog.Attr) {
	level := slog.LevelWarn
	if told.Swap(true) {
		level = slog.LevelDebug
	}
	srv.log.LogAttrs(context.Background(), level, message, attrs...)
}

// otherPath tells of a WebSocket for a path that is not served.
func (srv *Server) otherPath(r *http.Request) {
	attrs := []slog.Attr{
		slog.String("path", truncate(r.URL.EscapedPath(), srv.cfg.Limits.ErrorText)),
		slog.String("Config.Path", srv.cfg.Path),
	}
	if p := srv.cfg.Protocol1Path; p != "" {
		attrs = append(attrs, slog.String("Config.Protocol1Path", p))
	}
	srv.tellMounting(&srv.mounting.path, "upgrade refused: the path of the request is not the server's; it may be mounted at another path", attrs...)
}

// lostHeaders tells of a request that was a WebSocket's when a client sent it, as
// its other headers show: somebody in between has taken Upgrade away, which
// holds for one connection only (RFC 9110, section 7.6.1).
func (srv *Server) lostHeaders(r *http.Request) {
	if r.Header.Get("Sec-WebSocket-Key") == "" || r.Header.Get("Upgrade") != "" {
		return
	}
	srv.tellMounting(&srv.mounting.headers, "upgrade refused: the request has lost its Upgrade header; a proxy must pass on Upgrade and Connection, over HTTP/1.1",
		slog.String("protocol", r.Proto))
}

// wrappedWriter tells of a connection that cannot be taken over.
func (srv *Server) wrappedWriter(w http.ResponseWriter, err error) {
	srv.tellMounting(&srv.mounting.writer, "upgrade failed: a handler around the server, such as http.TimeoutHandler, wraps the http.ResponseWriter and has no method Unwrap or Hijack",
		slog.String("wrapper", innermost(w)), slog.Any("error", err))
}

// innermost is the type of the writer that ends the way to the connection.
func innermost(w http.ResponseWriter) string {
	for {
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return fmt.Sprintf("%T", w)
		}
		w = u.Unwrap()
	}
}

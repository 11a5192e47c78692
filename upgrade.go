package socketcluster

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/socketcluster-go/socketcluster/internal/account"
	"github.com/socketcluster-go/socketcluster/internal/guard"
	"github.com/socketcluster-go/socketcluster/internal/ws"
	"github.com/socketcluster-go/socketcluster/wire"
)

// ServeHTTP upgrades a request to a WebSocket and returns. The socket does not
// need a goroutine of net/http any more, and owns the connection: nobody else
// may read, write or close it ([Socket.Terminate] does). Other requests are
// refused.
//
// The order of the checks is that of socketcluster-server: method and headers,
// path, handshake middleware, origin. The limits of connections come before the
// middleware, so that a refusal by them costs very little. The check of the
// origin for requests with a principal or an ambient token comes last, see
// Config.TokenSources.
//
// w must be able to hand over its connection, as that of net/http can: a
// wrapper needs a method Unwrap ([http.ResponseController]). That of
// http.TimeoutHandler has none.
func (srv *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	srv.upgrade(w, r, srv.versionAt)
}

// upgrade is ServeHTTP with the versions at the paths of a handler.
func (srv *Server) upgrade(w http.ResponseWriter, r *http.Request, versionAt func(path string) (wire.Version, bool)) {
	version, refusal := srv.checkRequest(r, versionAt)
	addr := srv.ClientAddr(r)
	if refusal == nil {
		refusal = srv.checkRoom(r)
	}
	if refusal == nil {
		refusal = srv.takePlace(addr)
	}
	if refusal != nil {
		refusal.WriteTo(w)
		return
	}
	started := false
	defer func() {
		if !started {
			srv.places.Settle()
			srv.places.Leave(addr)
		}
	}()
	if refusal := srv.mayUpgrade(r); refusal != nil {
		refusal.WriteTo(w)
		return
	}
	r, token := srv.withToken(r)
	if err := srv.origins.Trust(r, token.ambience); err != nil {
		reason := srv.publicError(err).Message
		srv.Audit(AuditEvent{Kind: AuditTokenRejected, Address: addr, Reason: reason})
		srv.refuseOrigin(r, reason).WriteTo(w)
		return
	}
	s := &Socket{srv: srv, id: newSocketID(), url: srv.keptURL(r.URL.RequestURI()), addr: addr.As16(), version: version}
	conn, err := ws.Accept(w, r, ws.Options{
		ReadLimit:    int64(srv.cfg.Limits.HandshakeMessageSize),
		MaxFragments: srv.cfg.Limits.Fragments,
		Subprotocol:  srv.subprotocol(r),
		Deflate:      srv.cfg.Compression.Level > 0,
		Owner:        (*connOwner)(s),
		Poller:       srv.poller,
	})
	switch {
	case errors.Is(err, ws.ErrWriter):
		srv.wrappedWriter(w, err)
		return
	case err != nil:
		srv.log.Debug("upgrade failed", slog.Any("error", err))
		return
	}
	started = s.start(conn, r)
}

// keptURL returns a URL for a socket, which shares it with others if it is that
// of most clients. Otherwise it is a copy, which releases the request's first
// line, of which the URL is a part.
func (srv *Server) keptURL(url string) *string {
	switch url {
	case srv.cfg.Path:
		return &srv.cfg.Path
	case srv.cfg.Protocol1Path:
		return &srv.cfg.Protocol1Path
	}
	kept := strings.Clone(url)
	return &kept
}

// checkRequest returns the version for a request, or the reason why the request
// is not for this server.
func (srv *Server) checkRequest(r *http.Request, versionAt func(path string) (wire.Version, bool)) (wire.Version, *ws.Refusal) {
	if refusal := ws.CheckRequest(r); refusal != nil {
		srv.lostHeaders(r)
		srv.counters.badRequests.Add(1)
		return 0, refusal
	}
	version, ok := versionAt(r.URL.EscapedPath())
	if !ok {
		srv.otherPath(r)
		srv.counters.badRequests.Add(1)
		return 0, &ws.Refusal{Status: http.StatusBadRequest, Text: "Bad Request"}
	}
	if srv.isClosed() {
		srv.counters.afterClose.Add(1)
		return 0, &ws.Refusal{Status: http.StatusServiceUnavailable, Text: "Service Unavailable"}
	}
	return version, nil
}

// mayUpgrade returns the reason why a request may not become a socket, or nil.
func (srv *Server) mayUpgrade(r *http.Request) *ws.Refusal {
	if blocked := srv.runMiddleware(r.Context(), nil, &Upgrade{Request: r}); blocked != nil {
		text := blocked.Message
		if text == "" {
			text = http.StatusText(http.StatusUnauthorized)
		}
		srv.counters.byMiddleware.Add(1)
		return &ws.Refusal{Status: http.StatusUnauthorized, Text: text}
	}
	if err := srv.origins.Admit(r, srv.cfg.AllowMissingOrigin); err != nil {
		return srv.refuseOrigin(r, "Invalid origin: "+err.Error())
	}
	return nil
}

// refuseOrigin refuses an upgrade for a reason that may be shown, so that the
// author of the page knows what to do.
func (srv *Server) refuseOrigin(r *http.Request, reason string) *ws.Refusal {
	srv.counters.byOrigin.Add(1)
	text := "Failed to authorize socket handshake - " + reason
	srv.log.Debug("upgrade refused", slog.String("reason", reason), slog.String("origin", truncate(r.Header.Get("Origin"), srv.cfg.Limits.ErrorText)))
	srv.emitError(nil, &wire.Error{Name: wire.ErrServerProtocol.Name, Message: text})
	return &ws.Refusal{Status: http.StatusForbidden, Text: text}
}

// subprotocol returns the subprotocol for a client, or "".
func (srv *Server) subprotocol(r *http.Request) string {
	offered := slices.DeleteFunc(ws.Subprotocols(r), srv.ownsSubprotocol)
	if len(offered) == 0 {
		return ""
	}
	if srv.cfg.Subprotocol != nil {
		if chosen := srv.chooseSubprotocol(offered, r); !srv.ownsSubprotocol(chosen) {
			return chosen
		}
		return ""
	}
	return offered[0]
}

// chooseSubprotocol calls the application's function. A panic means that it has
// chosen none.
func (srv *Server) chooseSubprotocol(offered []string, r *http.Request) (chosen string) {
	_ = guard.Call(srv.log, "Config.Subprotocol", func() error {
		chosen = srv.cfg.Subprotocol(offered, r)
		return nil
	})
	return chosen
}

// connOwner is the socket as the owner of its connection.
type connOwner Socket

// Ping implements ws.Owner.
func (o *connOwner) Ping(payload []byte) { (*Socket)(o).answerPing(payload) }

// Hold implements ws.Owner.
func (o *connOwner) Hold(n int) error { return (*Socket)(o).countUnfinished(n) }

// TakeShort implements ws.Owner: it takes pongs, which most messages of idle clients are.
func (o *connOwner) TakeShort(text []byte) bool { return (*Socket)(o).takePong(text) }

// Resume implements ws.Owner.
func (o *connOwner) Resume() { (*Socket)(o).read() }

// pongRoom is the number of bytes that wait for a client beyond which its pings
// are not answered yet. Pongs are small, and cost more than their bytes.
const pongRoom = 16 << 10

// answerPing answers a ping of the WebSocket protocol. The pong waits for room,
// so that a peer that pings without reading delays only itself.
func (s *Socket) answerPing(payload []byte) {
	s.out.Wait(context.Background(), min(s.srv.cfg.Limits.Outbox/2, pongRoom))
	s.pushFrame(ws.Seal(append(ws.NewBuffer(len(payload)), payload...), ws.OpPong))
}

// countUpgrade counts the URL and the request. mu must be held.
func (s *Socket) countUpgrade() {
	s.ledger.Set(account.Upgrade, len(*s.url)+requestSize(s.request))
}

// requestSize returns the approximate number of bytes that an upgrade request
// takes.
func requestSize(r *http.Request) int {
	n := len(r.RequestURI) + upgradeCost
	for name, values := range r.Header {
		n += len(name)
		for _, v := range values {
			n += len(v)
		}
	}
	return n
}

// forgetUpgrade releases the request. mu must be held.
func (s *Socket) forgetUpgrade() {
	if s.request != nil {
		s.request = nil
		if !s.gone {
			s.ledger.Set(account.Upgrade, len(*s.url))
		}
	}
}

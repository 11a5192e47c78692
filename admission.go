package socketcluster

import (
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/admission"
	"github.com/socketcluster-go/socketcluster/internal/ws"
)

// retryAfter is the time that a refused client should wait: the minimum after
// which stock clients connect again.
const retryAfter = 10 * time.Second

// takePlace takes a place for a request, or refuses the request. It comes
// before all other work for the request.
func (srv *Server) takePlace(addr netip.Addr) *ws.Refusal {
	var full limit
	text, message := "", "connections are refused: a limit is reached"
	switch srv.places.Take(addr) {
	case admission.None:
		return nil
	case admission.Connections:
		full, text = limitConnections, "The server has too many connections"
	case admission.Pending:
		full, text = limitPendingHandshakes, "The server has too many connections that are being opened"
	case admission.PerAddress:
		full, text = limitConnectionsPerAddress, "There are too many connections from this address"
		message = "connections are refused: too many from one address; if it is that of a proxy, list it in TrustedProxies"
	}
	srv.hitLogged(full, message, slog.String("address", addr.String()))
	return refuseForNow(text)
}

// checkRoom refuses a request that alone would exceed a socket's share, while
// all sockets together exceed the budget.
func (srv *Server) checkRoom(r *http.Request) *ws.Refusal {
	if !srv.budget.Over() || int64(requestSize(r)) <= srv.share() {
		return nil
	}
	srv.hitLogged(limitBudget, "large requests are refused: all together hold too much")
	return refuseForNow(overBudgetText)
}

func refuseForNow(text string) *ws.Refusal {
	return &ws.Refusal{
		Status: http.StatusServiceUnavailable,
		Text:   text,
		Header: http.Header{"Retry-After": {strconv.Itoa(int(retryAfter.Seconds()))}},
	}
}

// ClientAddr returns the address from which a request comes. It is that of the
// peer of the connection; if this is one of Config.TrustedProxies, it is the
// right-most address in X-Forwarded-For that is not one of them. The client may
// have invented the addresses further to the left. The header Forwarded is
// ignored.
//
// IPv4 addresses have their short form, and no address has a zone or port. The
// result is the zero Addr if the connection has no IP address, such as a Unix
// socket, and no trusted proxy reports one.
func (srv *Server) ClientAddr(r *http.Request) netip.Addr { return srv.proxies.ClientAddr(r) }

// ClientAddr returns the address from which the socket was opened, as
// [Server.ClientAddr] determines it, or the zero Addr if there is none.
func (s *Socket) ClientAddr() netip.Addr {
	if s.addr == ([16]byte{}) {
		return netip.Addr{}
	}
	return netip.AddrFrom16(s.addr).Unmap()
}

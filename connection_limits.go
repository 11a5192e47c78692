package socketcluster

import (
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/subnet"
	"github.com/socketcluster-go/socketcluster/internal/ws"
)

// retryAfter is what a refused client is told to wait: as long as stock
// clients wait at least before they connect again.
const retryAfter = 10 * time.Second

// places counts connections from the upgrade request to their end.
type places struct {
	mu      sync.Mutex
	taken   int
	pending int                // of them, those without a complete handshake
	from    map[netip.Addr]int // by address, as far as they are counted
}

// counted returns what connections from an address are counted under. Proxies
// and tests are not counted: one address is many clients there.
func counted(addr netip.Addr) (key netip.Addr, ok bool) {
	if !addr.IsValid() || addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast() {
		return key, false
	}
	return subnet.Of(addr), true
}

// take takes a place for a connection that begins, or tells which limit is in
// the way.
func (p *places) take(addr netip.Addr, l *Limits) (full limit, ok bool) {
	key, counts := counted(addr)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.taken >= l.Connections:
		return limitConnections, false
	case p.pending >= l.PendingHandshakes:
		return limitPendingHandshakes, false
	case counts && p.from[key] >= l.ConnectionsPerAddress:
		return limitConnectionsPerAddress, false
	}
	p.taken++
	p.pending++
	if counts {
		if p.from == nil {
			p.from = make(map[netip.Addr]int)
		}
		p.from[key]++
	}
	return 0, true
}

// settled tells that a connection is no longer in its handshake.
func (p *places) settled() {
	p.mu.Lock()
	p.pending--
	p.mu.Unlock()
}

// leave tells that a connection that is settled has ended.
func (p *places) leave(addr netip.Addr) {
	key, counts := counted(addr)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
	if !counts {
		return
	}
	if p.from[key]--; p.from[key] == 0 {
		delete(p.from, key)
	}
}

func (p *places) count() (taken, pending int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken, p.pending
}

// takePlace takes a place for a request, or tells why there is none. Nothing
// has been done for the request by then.
func (srv *Server) takePlace(addr netip.Addr) *ws.Refusal {
	full, ok := srv.places.take(addr, &srv.cfg.Limits)
	if ok {
		return nil
	}
	text := "The server has too many connections"
	switch full {
	case limitPendingHandshakes:
		text = "The server has too many connections that are being opened"
	case limitConnectionsPerAddress:
		text = "There are too many connections from this address"
	}
	message := "connections are refused: a limit is reached"
	if full == limitConnectionsPerAddress {
		message = "connections are refused: too many from one address; if it is that of a proxy, list it in TrustedProxies"
	}
	srv.hitLogged(full, message, slog.String("address", addr.String()))
	return refuseForNow(text)
}

// checkRoom refuses a request that alone would be more than a socket's share,
// while all together hold too much.
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

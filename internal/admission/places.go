package admission

import (
	"net/netip"
	"sync"
)

// Limits are the maximum numbers of connections: in all, before the end of
// their handshake, and from one [Subnet].
type Limits struct {
	Connections, Pending, PerAddress int
}

// Shortage is the reason why there is no place for a connection.
type Shortage int

// The limits that may be reached.
const (
	None Shortage = iota
	Connections
	Pending
	PerAddress
)

// Places counts connections from the upgrade request to their end.
type Places struct {
	limits Limits

	mu      sync.Mutex
	taken   int
	pending int                // those without a complete handshake
	from    map[netip.Addr]int // by address, if it is counted
}

// NewPlaces returns places that are all free.
func NewPlaces(l Limits) *Places { return &Places{limits: l, from: make(map[netip.Addr]int)} }

// counted returns the key under which connections from an address are counted.
// Local addresses are not counted: proxies and tests connect from them, so one
// address stands for many clients.
func counted(addr netip.Addr) (key netip.Addr, ok bool) {
	if !addr.IsValid() || addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast() {
		return key, false
	}
	return Subnet(addr), true
}

// Take takes a place for a new connection, unless a limit has been reached.
func (p *Places) Take(addr netip.Addr) Shortage {
	key, counts := counted(addr)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.taken >= p.limits.Connections:
		return Connections
	case p.pending >= p.limits.Pending:
		return Pending
	case counts && p.from[key] >= p.limits.PerAddress:
		return PerAddress
	}
	p.taken++
	p.pending++
	if counts {
		p.from[key]++
	}
	return None
}

// Settle reports that a connection is no longer in its handshake.
func (p *Places) Settle() {
	p.mu.Lock()
	p.pending--
	p.mu.Unlock()
}

// Leave reports that a settled connection has ended.
func (p *Places) Leave(addr netip.Addr) {
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

// Count returns the number of connections, and the number of those in their
// handshake.
func (p *Places) Count() (taken, pending int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken, p.pending
}

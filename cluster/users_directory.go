package cluster

import (
	"fmt"
	"slices"
	"sync"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/internal/claimscan"
)

// maxClaims is the number of claims by which a node finds sockets. Each takes some
// 100 bytes a socket.
const maxClaims = 8

// directory finds the sockets of a server by the claims of their tokens.
type directory struct {
	srv  *socketcluster.Server
	offs []func()

	mu     sync.RWMutex
	values map[*socketcluster.Socket][]string // of those with a token; in the order of claims
	claims []index
}

// index has the sockets by one claim.
type index struct {
	claim   string
	sockets map[string][]*socketcluster.Socket // by value
}

// newDirectory begins with the claims of users and sessions.
func newDirectory(srv *socketcluster.Server, userClaim string) *directory {
	d := &directory{srv: srv, values: make(map[*socketcluster.Socket][]string)}
	for _, claim := range []string{userClaim, "sid"} {
		d.claims = append(d.claims, index{claim, make(map[string][]*socketcluster.Socket)})
	}
	// An event comes after the change. Whoever is told last sees the last one.
	d.offs = []func(){
		socketcluster.On(srv, func(e socketcluster.AuthenticateEvent) { d.look(e.Socket) }),
		socketcluster.On(srv, func(e socketcluster.DeauthenticateEvent) { d.look(e.Socket) }),
		socketcluster.On(srv, func(e socketcluster.DisconnectEvent) { d.look(e.Socket) }),
	}
	for s := range srv.Clients() {
		d.look(s)
	}
	return d
}

// end stops following the server.
func (d *directory) end() {
	for _, off := range d.offs {
		off()
	}
}

// look brings the directory up to date with a socket.
func (d *directory) look(s *socketcluster.Socket) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lookLocked(s)
}

func (d *directory) lookLocked(s *socketcluster.Socket) {
	old := d.values[s]
	token := s.AuthToken()
	if s.State() != socketcluster.Open {
		token = nil
	}
	var values []string
	if token != nil {
		values = make([]string, len(d.claims))
	}
	for i, x := range d.claims {
		was, is := "", ""
		if i < len(old) {
			was = old[i]
		}
		if token != nil {
			is, _ = claimscan.TextOfMember(token.Payload(), x.claim)
			values[i] = is
		}
		if was == is {
			continue
		}
		if was != "" {
			x.remove(was, s)
		}
		if is != "" {
			x.sockets[is] = append(x.sockets[is], s)
		}
	}
	if token == nil {
		delete(d.values, s)
	} else {
		d.values[s] = values
	}
}

func (x index) remove(value string, s *socketcluster.Socket) {
	all := x.sockets[value]
	if i := slices.Index(all, s); i >= 0 {
		all = slices.Delete(all, i, i+1)
	}
	if len(all) == 0 {
		delete(x.sockets, value)
	} else {
		x.sockets[value] = all
	}
}

// find returns the open sockets of a target.
func (d *directory) find(t Target) ([]*socketcluster.Socket, error) {
	if t.claim == "" {
		if s := d.srv.Client(t.value); s != nil {
			return []*socketcluster.Socket{s}, nil
		}
		return nil, nil
	}
	found, ok := d.lookup(t)
	if !ok {
		var err error
		if found, err = d.extend(t); err != nil {
			return nil, err
		}
	}
	// Their tokens may have changed a moment ago.
	return slices.DeleteFunc(found, func(s *socketcluster.Socket) bool {
		token := s.AuthToken()
		if token == nil || s.State() != socketcluster.Open {
			return true
		}
		text, _ := claimscan.TextOfMember(token.Payload(), t.claim)
		return text != t.value
	}), nil
}

// lookup returns a copy of the entry of a target. It fails for a claim that has no
// index yet.
func (d *directory) lookup(t Target) (found []*socketcluster.Socket, ok bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, x := range d.claims {
		if x.claim == t.claim {
			return slices.Clone(x.sockets[t.value]), true
		}
	}
	return nil, false
}

// extend makes the index of a claim that nobody has asked for before.
func (d *directory) extend(t Target) ([]*socketcluster.Socket, error) {
	d.mu.Lock()
	if !slices.ContainsFunc(d.claims, func(x index) bool { return x.claim == t.claim }) {
		if len(d.claims) == maxClaims {
			d.mu.Unlock()
			return nil, fmt.Errorf("cluster: sockets are found by %d claims already; there is no room for %q", maxClaims, t.claim)
		}
		d.claims = append(d.claims, index{t.claim, make(map[string][]*socketcluster.Socket)})
		for s := range d.values {
			d.lookLocked(s)
		}
	}
	d.mu.Unlock()
	found, _ := d.lookup(t)
	return found, nil
}

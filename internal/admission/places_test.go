package admission

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

// Places agree with a list of the connections that there are, and remember no
// address that has gone.
func TestPlacesAgreeWithTheModel(t *testing.T) {
	addresses := []netip.Addr{{}}
	for _, text := range []string{"192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "127.0.0.1", "10.0.0.1"} {
		addresses = append(addresses, netip.MustParseAddr(text))
	}
	type conn struct {
		addr    netip.Addr
		pending bool
	}
	rapid.Check(t, func(t *rapid.T) {
		l := Limits{
			Connections: rapid.IntRange(1, 12).Draw(t, "connections"),
			Pending:     rapid.IntRange(1, 6).Draw(t, "pending"),
			PerAddress:  rapid.IntRange(1, 4).Draw(t, "per address"),
		}
		p := NewPlaces(l)
		var all []conn
		t.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) {
				addr := rapid.SampledFrom(addresses).Draw(t, "address")
				pending, same := 0, 0
				for _, c := range all {
					if c.pending {
						pending++
					}
					key, counts := counted(addr)
					if other, _ := counted(c.addr); counts && key == other {
						same++
					}
				}
				want := None
				switch {
				case len(all) >= l.Connections:
					want = Connections
				case pending >= l.Pending:
					want = Pending
				case same >= l.PerAddress:
					want = PerAddress
				}
				if got := p.Take(addr); got != want {
					t.Fatalf("shortage %d, want %d with %d connections, %d pending, %d of the address", got, want, len(all), pending, same)
				}
				if want == None {
					all = append(all, conn{addr, true})
				}
			},
			"settle": func(t *rapid.T) {
				for i := range all {
					if all[i].pending {
						all[i].pending = false
						p.Settle()
						return
					}
				}
			},
			"leave": func(t *rapid.T) {
				for i, c := range all {
					if !c.pending {
						p.Leave(c.addr)
						all = append(all[:i], all[i+1:]...)
						return
					}
				}
			},
			"": func(t *rapid.T) {
				keys := make(map[netip.Addr]bool)
				pending := 0
				for _, c := range all {
					if c.pending {
						pending++
					}
					if key, ok := counted(c.addr); ok {
						keys[key] = true
					}
				}
				if taken, inHandshake := p.Count(); taken != len(all) || inHandshake != pending || len(p.from) != len(keys) {
					t.Fatalf("%d places taken, %d pending, %d addresses; want %d, %d and %d", taken, inHandshake, len(p.from), len(all), pending, len(keys))
				}
			},
		})
	})
}

package socketcluster

import (
	"net/netip"
	"testing"
	"time"

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
		l := &Limits{
			Connections:           rapid.IntRange(1, 12).Draw(t, "connections"),
			PendingHandshakes:     rapid.IntRange(1, 6).Draw(t, "pending"),
			ConnectionsPerAddress: rapid.IntRange(1, 4).Draw(t, "per address"),
		}
		var p places
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
				want := len(all) < l.Connections && pending < l.PendingHandshakes && same < l.ConnectionsPerAddress
				if _, ok := p.take(addr, l); ok != want {
					t.Fatalf("taken %t, want %t with %d connections, %d pending, %d of the address", ok, want, len(all), pending, same)
				}
				if want {
					all = append(all, conn{addr, true})
				}
			},
			"settle": func(t *rapid.T) {
				for i := range all {
					if all[i].pending {
						all[i].pending = false
						p.settled()
						return
					}
				}
			},
			"leave": func(t *rapid.T) {
				for i, c := range all {
					if !c.pending {
						p.leave(c.addr)
						all = append(all[:i], all[i+1:]...)
						return
					}
				}
			},
			"": func(t *rapid.T) {
				keys := make(map[netip.Addr]bool)
				for _, c := range all {
					if key, ok := counted(c.addr); ok {
						keys[key] = true
					}
				}
				if taken, _ := p.count(); taken != len(all) || len(p.from) != len(keys) {
					t.Fatalf("%d places taken, %d addresses; want %d and %d", taken, len(p.from), len(all), len(keys))
				}
			},
		})
	})
}

// A rate lets no more through in any time than its burst and what the time
// allows, and no less to whoever keeps asking.
func TestRateAgreesWithTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perSecond, atOnce := rapid.IntRange(1, 1000).Draw(t, "rate"), rapid.IntRange(1, 50).Draw(t, "at once")
		r := newRate(perSecond, atOnce)
		var fullAt, now time.Duration
		tokens, last := float64(atOnce), time.Duration(0)
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			now += time.Duration(rapid.IntRange(0, int(3*time.Second)/perSecond).Draw(t, "time"))
			tokens = min(float64(atOnce), tokens+float64(now-last)/float64(r.interval))
			last = now
			wait := r.take(&fullAt, now)
			const rounding = 1e-6
			switch {
			case wait == 0 && tokens < 1-rounding:
				t.Fatalf("let through with %f tokens", tokens)
			case wait > 0 && tokens >= 1+rounding:
				t.Fatalf("has to wait %v with %f tokens", wait, tokens)
			case wait == 0:
				tokens--
			default:
				if short := (1-tokens)*float64(r.interval) - float64(wait); short > 2 || short < -2 {
					t.Fatalf("has to wait %v with %f tokens", wait, tokens)
				}
			}
		}
	})
}

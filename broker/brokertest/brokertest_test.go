package brokertest_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/broker/brokertest"
)

// bus is what the nodes of these tests share.
type bus struct {
	mu    sync.Mutex
	nodes []*node
}

// node is a broker that keeps the promises, unless a test changes that.
type node struct {
	bus    *bus
	sink   broker.Sink
	joined map[string]int // by channel: how often it delivers
	with   defect
}

// defect has what a node does in another way, if not nil.
type defect struct {
	publish     func(n *node, ctx context.Context, channel string, data []byte) error
	subscribe   func(n *node, ctx context.Context, channel string) error
	unsubscribe func(n *node, ctx context.Context, channel string) error
	deliver     func(n *node, channel string, data []byte)
	close       func(n *node) error
}

func newBus(with defect) []broker.Broker {
	b := new(bus)
	var all []broker.Broker
	for range 3 {
		n := &node{bus: b, joined: make(map[string]int), with: with}
		b.nodes = append(b.nodes, n)
		all = append(all, n)
	}
	return all
}

func (n *node) Start(_ context.Context, sink broker.Sink) error {
	n.sink = sink
	return nil
}

func (n *node) Publish(ctx context.Context, channel string, data []byte) error {
	if n.with.publish != nil {
		return n.with.publish(n, ctx, channel, data)
	}
	n.bus.mu.Lock()
	defer n.bus.mu.Unlock()
	n.bus.publish(channel, data)
	return nil
}

func (b *bus) publish(channel string, data []byte) {
	for _, other := range b.nodes {
		if other.with.deliver != nil {
			other.with.deliver(other, channel, data)
			continue
		}
		other.give(channel, data)
	}
}

// give delivers as often as the node has joined, which is once.
func (n *node) give(channel string, data []byte) {
	for range n.joined[channel] {
		func() {
			defer func() { _ = recover() }()
			n.sink.Deliver(channel, data)
		}()
	}
}

func (n *node) Subscribe(ctx context.Context, channel string) error {
	if n.with.subscribe != nil {
		return n.with.subscribe(n, ctx, channel)
	}
	return n.join(channel)
}

func (n *node) join(channel string) error {
	n.bus.mu.Lock()
	defer n.bus.mu.Unlock()
	n.joined[channel]++
	return nil
}

func (n *node) Unsubscribe(ctx context.Context, channel string) error {
	if n.with.unsubscribe != nil {
		return n.with.unsubscribe(n, ctx, channel)
	}
	return n.leave(channel)
}

func (n *node) leave(channel string) error {
	n.bus.mu.Lock()
	defer n.bus.mu.Unlock()
	delete(n.joined, channel)
	return nil
}

func (n *node) Close() error {
	if n.with.close != nil {
		return n.with.close(n)
	}
	return nil
}

// A broker that keeps the promises passes, with several nodes and with one.
func TestGoodBrokers(t *testing.T) {
	t.Run("three nodes", func(t *testing.T) {
		brokertest.TestBroker(t, func(*testing.T) []broker.Broker { return newBus(defect{}) })
	})
	t.Run("in a bubble", func(t *testing.T) {
		brokertest.InBubble(t, func(*testing.T) []broker.Broker { return newBus(defect{}) })
	})
}

// publishes makes a defect of what happens to a publication.
func publishes(change func(b *bus, n *node, channel string, data []byte)) defect {
	return defect{publish: func(n *node, _ context.Context, channel string, data []byte) error {
		n.bus.mu.Lock()
		defer n.bus.mu.Unlock()
		change(n.bus, n, channel, data)
		return nil
	}}
}

// renames makes a defect of another name for a channel.
func renames(rename func(string) string) defect {
	return defect{deliver: func(n *node, channel string, data []byte) {
		for name := range n.joined {
			if rename(name) == rename(channel) {
				n.give(name, data)
			}
		}
	}}
}

// defects are of brokers that are built in other ways. The check is the one that must
// find them.
var defects = map[string]struct {
	check string
	defect
}{
	"nothing leaves the node": {"delivery", publishes(func(_ *bus, n *node, channel string, data []byte) { n.give(channel, data) })},
	"the publisher gets none": {"delivery", publishes(func(b *bus, n *node, channel string, data []byte) {
		for _, other := range b.nodes {
			if other != n {
				other.give(channel, data)
			}
		}
	})},
	"everything comes twice": {"delivery", defect{deliver: func(n *node, channel string, data []byte) {
		n.give(channel, data)
		n.give(channel, data)
	}}},
	"channels without subscribers fail": {"delivery", defect{publish: func(n *node, _ context.Context, channel string, data []byte) error {
		n.bus.mu.Lock()
		defer n.bus.mu.Unlock()
		if len(n.joined) > 0 && n.joined[channel] == 0 {
			return os.ErrNotExist
		}
		n.bus.publish(channel, data)
		return nil
	}}},
	"no data becomes null": {"data", publishes(func(b *bus, _ *node, channel string, data []byte) {
		if data == nil {
			data = []byte("null")
		}
		b.publish(channel, data)
	})},
	"null becomes no data": {"data", publishes(func(b *bus, _ *node, channel string, data []byte) {
		if string(data) == "null" {
			data = nil
		}
		b.publish(channel, data)
	})},
	"data is cut": {"data", publishes(func(b *bus, _ *node, channel string, data []byte) {
		b.publish(channel, data[:min(len(data), 1000)])
	})},
	"data is kept": {"ownership", func() defect {
		var last []byte
		return publishes(func(b *bus, _ *node, channel string, data []byte) {
			if last != nil {
				b.publish(channel, last)
			}
			if last = data; string(data) == `"the end"` {
				b.publish(channel, data)
			}
		})
	}()},
	"data is changed": {"ownership", publishes(func(b *bus, _ *node, channel string, data []byte) {
		b.publish(channel, bytes.Clone(data))
		data[0] = ' '
	})},
	"names fold case":         {"names", renames(strings.ToLower)},
	"names are trimmed":       {"names", renames(strings.TrimSpace)},
	"names end at a NUL":      {"names", renames(func(s string) string { s, _, _ = strings.Cut(s, "\x00"); return s })},
	"names are cut":           {"names", renames(func(s string) string { return s[:min(len(s), 1000)] })},
	"names are patterns":      {"names", renames(func(s string) string { return strings.TrimSuffix(s, ".*") })},
	"names are for a console": {"names", renames(func(s string) string { return strings.ToValidUTF8(strings.ReplaceAll(s, "\ufeff", ""), "") })},
	"a goroutine for each publication": {"order", defect{publish: func(n *node, _ context.Context, channel string, data []byte) error {
		data = bytes.Clone(data)
		time.AfterFunc(time.Duration(len(data)%2)*time.Millisecond, func() {
			n.bus.mu.Lock()
			defer n.bus.mu.Unlock()
			n.bus.publish(channel, data)
		})
		return nil
	}}},
	"busy": {"order of each caller", defect{publish: func(n *node, _ context.Context, channel string, data []byte) error {
		if !n.bus.mu.TryLock() {
			return nil // somebody else is publishing
		}
		defer n.bus.mu.Unlock()
		n.bus.publish(channel, data)
		time.Sleep(time.Millisecond)
		return nil
	}}},
	"nobody leaves": {"unsubscribe", defect{unsubscribe: func(*node, context.Context, string) error { return nil }}},
	"all leave together": {"unsubscribe", defect{unsubscribe: func(n *node, _ context.Context, channel string) error {
		for _, other := range n.bus.nodes {
			_ = other.leave(channel)
		}
		return nil
	}}},
	"all channels are left": {"unsubscribe", defect{unsubscribe: func(n *node, _ context.Context, channel string) error {
		n.bus.mu.Lock()
		defer n.bus.mu.Unlock()
		clear(n.joined)
		return nil
	}}},
	"subscriptions take effect later": {"unsubscribe races", defect{subscribe: func(n *node, _ context.Context, channel string) error {
		time.AfterFunc(time.Millisecond, func() { _ = n.join(channel) })
		return nil
	}}},
	"ends take effect later": {"unsubscribe races", defect{unsubscribe: func(n *node, _ context.Context, channel string) error {
		time.AfterFunc(time.Millisecond, func() { _ = n.leave(channel) })
		return nil
	}}},
	"a goroutine for each channel": {"many channels", func() defect {
		gone := make(chan struct{})
		end := sync.OnceFunc(func() { close(gone) })
		return defect{
			subscribe: func(n *node, _ context.Context, channel string) error {
				go func() { <-gone }()
				return n.join(channel)
			},
			close: func(*node) error {
				end()
				return nil
			},
		}
	}()},
	"room for some": {"many channels", defect{subscribe: func(n *node, _ context.Context, channel string) error {
		n.bus.mu.Lock()
		full := len(n.joined) >= 8192
		n.bus.mu.Unlock()
		if full {
			return os.ErrInvalid
		}
		return n.join(channel)
	}}},
	"a panic keeps the turn": {"sink that panics", func() defect {
		kept := false
		return defect{publish: func(n *node, ctx context.Context, channel string, data []byte) error {
			if kept {
				<-ctx.Done()
				return ctx.Err()
			}
			kept = string(data) == `"panic"`
			n.bus.publish(channel, data)
			return nil
		}}
	}()},
	"a sink that panics is dropped": {"sink that panics", defect{deliver: func(n *node, channel string, data []byte) {
		n.give(channel, data)
		if string(data) == `"panic"` {
			clear(n.joined)
		}
	}}},
	"a context that has ended is success": {"context", defect{subscribe: func(n *node, ctx context.Context, channel string) error {
		if ctx.Err() != nil {
			return nil
		}
		return n.join(channel)
	}}},
	"what has failed stays": {"context", defect{subscribe: func(n *node, ctx context.Context, channel string) error {
		_ = n.join(channel)
		return ctx.Err()
	}}},
	"close hangs": {"close", defect{close: func(*node) error { time.Sleep(time.Hour); return nil }}},
	"close fails": {"close", defect{close: func(*node) error { return os.ErrClosed }}},
}

const defectEnv = "BROKERTEST_DEFECT"

// The kit finds defects, by the check that is for them. A failing test cannot be
// looked at from inside, so each runs in a process of its own.
func TestDefectsAreFound(t *testing.T) {
	planted := map[string]bool{}
	for name, d := range defects {
		planted[d.check] = true
		t.Run(name, func(t *testing.T) {
			check := strings.ReplaceAll(d.check, " ", "_")
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDefect$/^"+check+"$", "-test.v", "-test.timeout=1m")
			cmd.Env = append(os.Environ(), defectEnv+"="+name)
			out, err := cmd.CombinedOutput()
			found := "--- FAIL: TestDefect/" + check + " "
			if err == nil || !strings.Contains(string(out), found) {
				t.Errorf("%q is not in the output (%v):\n%.2000s", found, err, out)
			}
		})
	}
	for _, name := range brokertest.Names() {
		if !planted[name] {
			t.Errorf("no defect shows that the check %q can fail", name)
		}
	}
}

// TestDefect does nothing unless TestDefectsAreFound has started it.
func TestDefect(t *testing.T) {
	name := os.Getenv(defectEnv)
	if name == "" {
		return
	}
	brokertest.InBubble(t, func(*testing.T) []broker.Broker { return newBus(defects[name].defect) })
}

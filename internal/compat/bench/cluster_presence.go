//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Channels of the contract server whose names begin like this have presence.
const presencePrefix = "presence."

// maxGone is the limit until presence is exact after a node was killed, in seconds.
const maxGone = 3

// hosts is on how many nodes the members are: the first ones. The last node has none.
const hosts = 2

// runPresence measures members who join channels, and a node with half of them that is
// killed.
func runPresence(ctx context.Context, n *nodes, l clusterLoad) ([]figure, error) {
	m, err := openMembers(ctx, n, l)
	if err != nil {
		return nil, err
	}
	defer m.abandon()
	plain, err := m.subscribe(n, l, "plain.", func() error { return nil })
	if err != nil {
		return nil, err
	}
	var late time.Duration
	joining, err := m.subscribe(n, l, presencePrefix, func() error {
		answered := time.Now()
		err := m.exact(n, l, hosts, 0, 1, 2)
		late = time.Since(answered)
		return err
	})
	if err != nil {
		return nil, err
	}
	killed := time.Now()
	if err := n.kill(hosts - 1); err != nil {
		return nil, err
	}
	if err := m.exact(n, l, hosts-1, 0, 2); err != nil {
		return nil, err
	}
	gone := time.Since(killed)
	what := fmt.Sprintf("presence, %d members on %d channels", l.members, l.rooms)
	return []figure{
		{title: what + ": from the first subscription until it is exact on all nodes", unit: secondUnit, value: joining.took.Seconds()},
		{title: what + ": the part of it after the last answer", unit: millisecondUnit, value: milliseconds(late)},
		{title: what + ": a subscription, all nodes", unit: cpuTimeUnit, value: joining.cost},
		{title: "the same without presence: a subscription, all nodes", unit: cpuTimeUnit, value: plain.cost},
		{title: what + ": kill -9 of a node with half of them, until it is exact on the others (debounce 2 s)", unit: secondUnit, value: gone.Seconds(), limit: maxGone},
	}, nil
}

// runPresenceMemory measures the memory of the members' rows on a node that has none of
// the sockets.
func runPresenceMemory(ctx context.Context, n *nodes, l clusterLoad) ([]figure, error) {
	m, err := openMembers(ctx, n, l)
	if err != nil {
		return nil, err
	}
	defer m.abandon()
	before, err := n.settledMemory(ctx, l)
	if err != nil {
		return nil, err
	}
	if _, err := m.subscribe(n, l, presencePrefix, func() error { return m.exact(n, l, hosts, 2) }); err != nil {
		return nil, err
	}
	after, err := n.settledMemory(ctx, l)
	if err != nil {
		return nil, err
	}
	return []figure{{
		title: fmt.Sprintf("presence: a row of %d on a node without the socket, with a part of its channel", l.members), unit: memoryUnit,
		value: float64(after[clusterSize-1]-before[clusterSize-1]) / 1024 / float64(l.members),
	}}, nil
}

// members are sockets of users, half of them on each host.
type members struct {
	fleets  [hosts]*fleet
	answers [hosts]*atomic.Int64
}

func openMembers(ctx context.Context, n *nodes, l clusterLoad) (*members, error) {
	m := new(members)
	for host := range hosts {
		m.answers[host] = new(atomic.Int64)
		f, err := openFleet(ctx, n.servers[host].endpoint, l.members/hosts,
			func(i int, c *conn) error { return c.handshake(signToken(member(host, i))) }, countAnswers(m.answers[host]))
		if err != nil {
			m.abandon()
			return nil, err
		}
		m.fleets[host] = f
	}
	return m, nil
}

func member(host, i int) string { return fmt.Sprintf("member-%05d-%d", i, host) }

func (m *members) abandon() {
	for _, f := range m.fleets {
		if f != nil {
			f.abandon()
		}
	}
}

// joined is what subscriptions of all members took.
type joined struct {
	took time.Duration
	cost float64 // CPU time of all nodes for each, in microseconds
}

// subscribe subscribes each member to one channel, and calls then. The CPU time is
// without then, of which a second call is made to see what it takes.
func (m *members) subscribe(n *nodes, l clusterLoad, prefix string, then func() error) (joined, error) {
	ctx := m.fleets[0].ctx
	before, err := n.restingCPU(ctx, l)
	if err != nil {
		return joined{}, err
	}
	begun := time.Now()
	failures := make([]error, hosts)
	var all sync.WaitGroup
	for host, f := range m.fleets {
		all.Go(func() {
			failures[host] = subscribeAll(f, m.answers[host], len(f.conns), func(i int) string { return fmt.Sprint(prefix, i%l.rooms) })
		})
	}
	all.Wait()
	for _, err := range failures {
		if err != nil {
			return joined{}, err
		}
	}
	if err := then(); err != nil {
		return joined{}, err
	}
	took := time.Since(begun)
	between, err := n.restingCPU(ctx, l)
	if err != nil {
		return joined{}, err
	}
	if err := then(); err != nil {
		return joined{}, err
	}
	after, err := n.restingCPU(ctx, l)
	if err != nil {
		return joined{}, err
	}
	own := (between - before) - (after - between)
	return joined{took, float64(own.Nanoseconds()) / 1e3 / float64(l.members)}, nil
}

// exactTimeout is the time within which presence must be exact.
const exactTimeout = 30 * time.Second

// exact asks some nodes for all channels until each has exactly the members of the first
// hosts.
func (m *members) exact(n *nodes, l clusterLoad, alive int, asked ...int) error {
	want := roomsOf(l, alive)
	failures := make([]error, len(asked))
	var asking sync.WaitGroup
	for k, i := range asked {
		asking.Go(func() { failures[k] = untilExact(m.fleets[0].ctx, n.servers[i].endpoint, want) })
	}
	asking.Wait()
	for k, err := range failures {
		if err != nil {
			return fmt.Errorf("node %d: %w", asked[k], err)
		}
	}
	return nil
}

// roomsOf returns who should be in each channel, as JSON.
func roomsOf(l clusterLoad, alive int) []string {
	users := make([][]string, l.rooms)
	for host := range alive {
		for i := range l.members / hosts {
			users[i%l.rooms] = append(users[i%l.rooms], member(host, i))
		}
	}
	texts := make([]string, l.rooms)
	for i, list := range users {
		slices.Sort(list)
		text, err := json.Marshal(append([]string{}, list...)) // not null
		if err != nil {
			panic(err) // strings always encode
		}
		texts[i] = string(text)
	}
	return texts
}

// askPause is the pause between questions.
const askPause = 10 * time.Millisecond

func untilExact(ctx context.Context, e endpoint, want []string) error {
	c, err := dial(ctx, e)
	if err != nil {
		return err
	}
	defer c.net.Close()
	if err := c.handshake(""); err != nil {
		return err
	}
	missing := make([]int, len(want))
	for i := range missing {
		missing[i] = i
	}
	for deadline := time.Now().Add(exactTimeout); ; {
		if missing, err = askWhoIsThere(c, missing, want); err != nil || len(missing) == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the presence of %d of %d channels is not exact", len(missing), len(want))
		}
		if err := sleep(ctx, askPause); err != nil {
			return err
		}
	}
}

// askWhoIsThere asks for the users of channels, and returns the channels whose answers
// are not what is wanted.
func askWhoIsThere(c *conn, channels []int, want []string) (wrong []int, err error) {
	var frames, message []byte
	first := c.id + 1
	for _, i := range channels {
		c.id++
		message = c.proto.appendCall(message[:0], c.id, "online", fmt.Sprintf(`{"channel":"%s%d"}`, presencePrefix, i))
		frames = appendFrame(frames, opText, message)
	}
	c.net.SetDeadline(time.Now().Add(ioTimeout))
	defer c.net.SetDeadline(time.Time{})
	if _, err := c.net.Write(frames); err != nil {
		return nil, err
	}
	for range channels {
		message, err := c.next()
		if err != nil {
			return nil, err
		}
		var got struct {
			RID  uint64          `json:"rid"`
			Data json.RawMessage `json:"data"`
		}
		if err := json.Unmarshal(message, &got); err != nil {
			return nil, err
		}
		k := got.RID - first
		if c.proto.kind(message) != answer || k >= uint64(len(channels)) {
			return nil, fmt.Errorf("unexpected answer %q", message)
		}
		if i := channels[k]; string(got.Data) != want[i] {
			wrong = append(wrong, i)
		}
	}
	return wrong, nil
}

// restingCPU is the CPU time of all nodes, once they are at rest.
func (n *nodes) restingCPU(ctx context.Context, l clusterLoad) (time.Duration, error) {
	if _, err := n.settledEach(ctx, l); err != nil {
		return 0, err
	}
	return n.cpu()
}

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/cluster"
)

// writer publishes numbers on a channel, one after the other, until it is told to stop.
// It publishes again under its id what was not acknowledged.
type writer struct {
	node    *cluster.Node
	channel string
	name    string
	acked   []string
	seqs    []uint64
	count   atomic.Int64
	failure atomic.Pointer[error] // the last one
	stop    atomic.Bool
	done    chan error
}

func (w *writer) run() error {
	pace := time.NewTicker(5 * time.Millisecond) // histories must not overflow
	defer pace.Stop()
	for i := 0; !w.stop.Load(); i++ {
		<-pace.C
		text := fmt.Sprint(w.name, " ", i)
		for {
			p, err := w.node.Publish(context.Background(), w.channel, text, []byte(text))
			if err == nil {
				w.acked, w.seqs = append(w.acked, text), append(w.seqs, p.Seq)
				w.count.Add(1)
				break
			}
			w.failure.Store(&err)
			if !errors.Is(err, cluster.ErrUncertain) {
				return fmt.Errorf("%s: %w", text, err)
			}
		}
	}
	return nil
}

// load publishes on channels from nodes, and judges what was stored and delivered.
type load struct {
	t       testing.TB
	writers []*writer
}

func startLoad(t testing.TB, nodes []*cluster.Node, channels []string) *load {
	l := &load{t: t}
	for _, node := range nodes {
		for _, channel := range channels {
			w := &writer{node: node, channel: channel, name: node.Name(), done: make(chan error, 1)}
			go func() { w.done <- w.run() }()
			l.writers = append(l.writers, w)
		}
	}
	t.Cleanup(func() { l.halt(nil) })
	return l
}

// halt stops the writers on a node, nil for all.
func (l *load) halt(node *cluster.Node) {
	for _, w := range l.writers {
		if node == nil || w.node == node {
			w.stop.Store(true)
		}
	}
	for _, w := range l.writers {
		if w.stop.Load() {
			err := <-w.done
			w.done <- nil
			if err != nil {
				l.t.Error(err)
			}
		}
	}
}

// more waits until every writer has had so many more publications acknowledged, but
// for those on a node.
func (l *load) more(n int64, but *cluster.Node) {
	l.t.Helper()
	want := make(map[*writer]int64)
	for _, w := range l.writers {
		if w.node != but && !w.stop.Load() {
			want[w] = w.count.Load() + n
		}
	}
	begun := time.Now()
	for w, count := range want {
		for ; w.count.Load() < count; time.Sleep(time.Millisecond) {
			if time.Since(begun) > time.Minute {
				var failure error
				if err := w.failure.Load(); err != nil {
					failure = *err
				}
				l.t.Fatalf("waiting for publications of %s on %s: %v", w.name, w.channel, failure)
			}
		}
	}
	l.t.Logf("%d more of each after %v", n, time.Since(begun))
}

// end stops the writers. Nothing that was acknowledged may be missing, twice or in another
// order, in the history that a node has and in what the sinks got.
func (l *load) end(reader *cluster.Node, sinks map[string]*sink, channels []string) {
	l.t.Helper()
	l.halt(nil)
	for _, channel := range channels {
		past := history(l.t, reader, channel, 10_000)
		stored := texts(past.Publications)
		seqs := make(map[string]uint64)
		for _, p := range past.Publications {
			if seqs[string(p.Data)] != 0 {
				l.t.Errorf("%s has %s twice", channel, p.Data)
			}
			seqs[string(p.Data)] = p.Position.Seq
		}
		acked := 0
		for _, w := range l.writers {
			if w.channel != channel {
				continue
			}
			last := uint64(0)
			for i, text := range w.acked {
				if seqs[text] != w.seqs[i] || seqs[text] <= last {
					l.t.Errorf("%s was acknowledged as %d on %s, and is stored as %d, after %d", text, w.seqs[i], channel, seqs[text], last)
				}
				last = seqs[text]
			}
			acked += len(w.acked)
		}
		if acked != len(stored) {
			l.t.Errorf("%s has %d publications; %d were acknowledged", channel, len(stored), acked)
		}
		for name, s := range sinks {
			live := func() (all []string) {
				for _, text := range s.got() {
					if after, ok := cutPrefix(text, channel+" "); ok {
						all = append(all, after)
					}
				}
				return all
			}
			await(l.t, "deliveries", func() bool { return len(live()) >= len(stored) })
			if got := live(); !slices.Equal(got, stored) {
				l.t.Errorf("node %s got %d publications of %s, which has %d, or in another order", name, len(got), channel, len(stored))
			}
		}
	}
}

func cutPrefix(text, prefix string) (string, bool) {
	if len(text) < len(prefix) || text[:len(prefix)] != prefix {
		return "", false
	}
	return text[len(prefix):], true
}

func withLongHistory(o *cluster.Options) {
	o.History = []cluster.HistoryRule{{Channel: "chat/*", Size: 10_000, Age: time.Hour}}
}

// three starts what subscribes to channels with history on three nodes, and waits until
// their streams have three copies.
func three(t testing.TB, nodes []*cluster.Node, channels []string) (brokers []broker.Broker, sinks map[string]*sink) {
	t.Helper()
	brokers, list := begin(t, nodes)
	sinks = make(map[string]*sink)
	for i, b := range brokers {
		sinks[nodes[i].Name()] = list[i]
		for _, channel := range channels {
			if err := b.Subscribe(t.Context(), channel); err != nil {
				t.Fatal(err)
			}
		}
	}
	begun := time.Now()
	defer func() { t.Logf("three copies after %v", time.Since(begun)) }()
	for _, channel := range channels {
		await(t, "three copies", func() bool { return nodes[0].Complete(t.Context(), channel) == len(nodes) })
		await(t, "a leader", func() bool { return nodes[0].Leader(t.Context(), channel) != "" })
	}
	return brokers, sinks
}

// leader returns the index of the node that leads the stream of a channel.
func leader(t testing.TB, nodes []*cluster.Node, channel string) int {
	t.Helper()
	led := -1
	await(t, "a leader", func() bool {
		name := nodes[0].Leader(t.Context(), channel)
		led = slices.IndexFunc(nodes, func(n *cluster.Node) bool { return n.Name() == name })
		return led >= 0
	})
	return led
}

// No fault of one node loses what was acknowledged. A node that was cut off misses
// nothing. One that is closed in good order lets the others go on at once.
func TestHistoryOutlivesFaults(t *testing.T) {
	channels := []string{"chat/a", "chat/i"} // of one shard
	nodes, options, c := startCut(t, 3, withLongHistory)
	_, sinks := three(t, nodes, channels)
	led := leader(t, nodes, channels[0])
	l := startLoad(t, nodes, channels)
	l.more(20, nil)

	follower := nodes[(led+1)%3]
	c.flap((led + 1) % 3)
	l.more(20, nil)
	c.cut((led + 1) % 3)
	l.more(50, follower)
	c.heal((led + 1) % 3)
	l.more(20, nil)

	led = leader(t, nodes, channels[0])
	l.halt(nodes[led])
	delete(sinks, nodes[led].Name())
	nodes[led].Close()
	await(t, "the next leader", func() bool {
		return nodes[(led+1)%3].Confirmed(channels[0]) || nodes[(led+2)%3].Confirmed(channels[0])
	})
	l.more(20, nil)
	back := startNode(t, options[led])
	ready(t, back)
	l.more(20, nil)
	l.end(back, sinks, channels)

	// What is published while a node is away comes also if nothing is published afterwards.
	i := slices.IndexFunc(nodes, func(n *cluster.Node) bool {
		return n.Name() != back.Name() && n.Name() != back.Leader(t.Context(), channels[0])
	})
	got := len(sinks[nodes[i].Name()].got())
	c.cut(i)
	publish(t, nodes[3-i-led], channels[0], "", "last")
	c.heal(i)
	await(t, "the last one", func() bool { return len(sinks[nodes[i].Name()].got()) > got })
}

// A publication is acknowledged although each answer comes later than a first try waits for.
func TestPublishOverSlowLines(t *testing.T) {
	t.Parallel()
	nodes, _, c := startCut(t, 3, withHistory)
	await(t, "three copies", func() bool { return nodes[0].Complete(t.Context(), "chat/a") == 3 })
	c.delay.Store(int64(150 * time.Millisecond))
	for i, node := range nodes {
		publish(t, node, "chat/a", "", i)
	}
	c.delay.Store(0)
	if got := texts(history(t, nodes[0], "chat/a", 10).Publications); !slices.Equal(got, []string{"0", "1", "2"}) {
		t.Errorf("the history is %v", got)
	}
}

// A round trip between nodes may take 300 ms, and the leader asks others before it answers. Nodes
// compare nevertheless.
func TestCompareOverSlowLines(t *testing.T) {
	t.Parallel()
	const channel = "chat/a"
	nodes, _, c := startCut(t, 3, withLongHistory)
	three(t, nodes, []string{channel})
	follower := nodes[(leader(t, nodes, channel)+1)%3]
	c.delay.Store(int64(150 * time.Millisecond))
	defer c.delay.Store(0)
	after := time.Now().Add(time.Second) // what was asked before the delay has been answered then
	await(t, "a comparison", func() bool { return follower.Sure(channel).After(after) })
}

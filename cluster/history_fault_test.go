package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
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
}

func (w *writer) run(ctx context.Context, stop *atomic.Bool, count *atomic.Int64) error {
	for i := 0; !stop.Load(); i++ {
		text := fmt.Sprint(w.name, " ", i)
		for {
			p, err := w.node.Publish(ctx, w.channel, text, []byte(text))
			if err == nil {
				w.acked, w.seqs = append(w.acked, text), append(w.seqs, p.Seq)
				count.Add(1)
				break
			}
			if !errors.Is(err, cluster.ErrUncertain) || ctx.Err() != nil {
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
	stop    atomic.Bool
	count   atomic.Int64
	over    sync.WaitGroup
	errs    []error
}

func startLoad(t testing.TB, nodes []*cluster.Node, channels []string) *load {
	l := &load{t: t}
	for _, node := range nodes {
		for _, channel := range channels {
			l.writers = append(l.writers, &writer{node: node, channel: channel, name: node.Name()})
		}
	}
	l.errs = make([]error, len(l.writers))
	for i, w := range l.writers {
		l.over.Go(func() { l.errs[i] = w.run(context.Background(), &l.stop, &l.count) })
	}
	return l
}

// more waits until so many more publications have been acknowledged.
func (l *load) more(n int64) {
	l.t.Helper()
	want := l.count.Load() + n
	await(l.t, "publications", func() bool { return l.count.Load() >= want })
}

// end stops the writers. Nothing that was acknowledged may be missing, twice or in another
// order, in the history that a node has and in what the sinks got.
func (l *load) end(reader *cluster.Node, sinks map[string]*sink, channels []string) {
	l.t.Helper()
	l.stop.Store(true)
	l.over.Wait()
	if err := errors.Join(l.errs...); err != nil {
		l.t.Fatal(err)
	}
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
	l.t.Logf("%d publications", l.count.Load())
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
	for _, channel := range channels {
		await(t, "three copies", func() bool { return nodes[0].Copies(t.Context(), channel) == len(nodes) })
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

// The end of the leader loses nothing that was acknowledged.
func TestHistoryOutlivesLeader(t *testing.T) {
	channels := []string{"chat/a", "chat/b"}
	nodes, options := startStored(t, 3, withLongHistory)
	_, sinks := three(t, nodes, channels)
	led := leader(t, nodes, channels[0])
	others := slices.Delete(slices.Clone(nodes), led, led+1)
	delete(sinks, nodes[led].Name())
	l := startLoad(t, others, channels)
	l.more(200)
	nodes[led].Close()
	l.more(200)
	back := startNode(t, options[led])
	ready(t, back)
	l.more(200)
	l.end(back, sinks, channels)
}

// A node that was cut off misses nothing, whether it led or not, and publishes again.
func TestHistoryOutlivesCutRoutes(t *testing.T) {
	channels := []string{"chat/a", "chat/b"}
	nodes, c := startCut(t, 3, withLongHistory)
	_, sinks := three(t, nodes, channels)
	l := startLoad(t, nodes, channels)
	l.more(200)
	led := leader(t, nodes, channels[0])
	for _, i := range []int{led, (led + 1) % 3} {
		c.cut(i)
		l.more(200)
		c.heal(i)
		await(t, "all nodes", func() bool { return len(nodes[i].Nodes()) == 3 })
		l.more(200)
		c.flap(i)
		l.more(200)
	}
	l.end(nodes[led], sinks, channels)
}

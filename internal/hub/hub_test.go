package hub

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"
)

func TestSize(t *testing.T) {
	if got := unsafe.Sizeof(Subscription{}); got > 2*unsafe.Sizeof(uintptr(0)) {
		t.Errorf("a subscription takes %d bytes, want at most 2 words", got)
	}
}

// guarded fails the test when it is called after its subscription has ended.
type guarded struct {
	recorder
	t     *testing.T
	ended atomic.Bool
}

func (g *guarded) Deliver(p *Publication, sub *Subscription) {
	if g.ended.Load() {
		g.t.Error("Deliver after Unsubscribe has returned")
	}
	g.recorder.Deliver(p, sub)
}

// TestOneOrder pins, with publishers and subscribers that come and go, that
// all subscribers of a channel see one order without gaps.
func TestOneOrder(t *testing.T) {
	const channels, publishers, each, visitors, visits = 3, 4, 400, 4, 60
	h := New()
	var residents [channels]*guarded
	name := func(c int) string { return fmt.Sprint("channel ", c) }
	for c := range residents {
		residents[c] = &guarded{t: t}
		h.Subscribe(name(c), residents[c])
	}
	type visit struct {
		channel int
		seen    []*Publication
	}
	var all [visitors][]visit
	var wg sync.WaitGroup
	for range publishers {
		wg.Go(func() {
			for i := range each {
				if h.Publish(&Publication{Channel: name(i % channels)}) == 0 {
					t.Error("nobody received a publication")
				}
				if i%16 == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	for v := range visitors {
		wg.Go(func() {
			for i := range visits {
				c := (i + v) % channels
				g := &guarded{t: t}
				sub := h.Subscribe(name(c), g)
				runtime.Gosched()
				h.Unsubscribe(sub)
				if !h.Has(name(c)) {
					t.Error("the channel went with a visitor")
				}
				g.ended.Store(true)
				all[v] = append(all[v], visit{c, g.got})
			}
		})
	}
	wg.Wait()
	total := 0
	for c, r := range residents {
		total += len(r.got)
		place := map[*Publication]int{}
		for i, p := range r.got {
			if _, ok := place[p]; ok || p.Channel != name(c) {
				t.Fatal("a publication came twice or to the wrong channel")
			}
			place[p] = i
		}
		for _, visits := range all {
			for _, v := range visits {
				if v.channel != c || len(v.seen) == 0 {
					continue
				}
				from, ok := place[v.seen[0]]
				if !ok || !slices.Equal(v.seen, r.got[from:min(from+len(v.seen), len(r.got))]) {
					t.Fatal("a visitor saw other publications, or another order, than the resident")
				}
			}
		}
	}
	if total != publishers*each {
		t.Errorf("%d publications received, want %d", total, publishers*each)
	}
}

// TestChannelComesAndGoes has a few subscribers fight over whether a channel
// exists, with publishers beside them.
func TestChannelComesAndGoes(t *testing.T) {
	const workers, rounds = 4, 2000
	h := New()
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range rounds {
				g := &guarded{t: t}
				sub := h.Subscribe("x", g)
				if h.Publish(&Publication{Channel: "x"}) == 0 || len(g.gotNow(sub)) == 0 {
					t.Error("a subscriber missed its own publication")
				}
				h.Unsubscribe(sub)
				g.ended.Store(true)
				h.Unsubscribe(sub) // does not end the subscription of another one
			}
		})
	}
	wg.Wait()
	if h.Has("x") || len(h.Channels()) != 0 {
		t.Error("the channel is still there")
	}
	for i := range h.shards {
		if h.shards[i].topics != nil {
			t.Error("an empty shard keeps its map")
		}
	}
}

// TestSubscribeBesideLeavingLast pins the moment between the two halves of the
// Unsubscribe that ends a channel.
func TestSubscribeBesideLeavingLast(t *testing.T) {
	h := New()
	old := h.Subscribe("x", &recorder{})
	if !old.topic.discard(old) {
		t.Fatal("the channel is still open")
	}
	if h.Has("x") {
		t.Error("Has = true without a subscriber")
	}
	s := &recorder{}
	h.Subscribe("x", s)
	h.shard("x").remove(old.topic)
	if h.Publish(&Publication{Channel: "x"}) != 1 || len(s.got) != 1 {
		t.Error("the new channel went with the old one")
	}
}

// gotNow reads what was delivered so far beside concurrent publishers.
func (g *guarded) gotNow(sub *Subscription) []*Publication {
	sub.topic.mu.Lock()
	defer sub.topic.mu.Unlock()
	return slices.Clone(g.got)
}

func TestMapsShrink(t *testing.T) {
	const n = shardCount * mapKeep * 8
	h := New()
	subs := make([]*Subscription, n)
	for i := range subs {
		subs[i] = h.Subscribe(strconv.Itoa(i), &recorder{})
	}
	for _, sub := range subs[10:] {
		h.Unsubscribe(sub)
	}
	for i := range h.shards {
		if s := &h.shards[i]; s.peak > max(mapKeep, 4*len(s.topics)) {
			t.Errorf("the map of %d channels has room for %d", len(s.topics), s.peak)
		}
	}
	for i := range 10 {
		if h.Publish(&Publication{Channel: strconv.Itoa(i)}) != 1 {
			t.Errorf("channel %d is lost", i)
		}
	}
}

type panicky struct{}

func (panicky) Deliver(*Publication, *Subscription) { panic("broken subscriber") }

// TestPanicInDeliver pins that a panic which somebody recovers leaves no lock
// behind.
func TestPanicInDeliver(t *testing.T) {
	h := New()
	sub := h.Subscribe("x", panicky{})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		h.Publish(&Publication{Channel: "x"})
	}()
	h.Unsubscribe(sub)
	if h.Has("x") {
		t.Error("the channel is still there")
	}
}

type sink struct{ n int }

func (s *sink) Deliver(*Publication, *Subscription) { s.n++ }

func BenchmarkPublish(b *testing.B) {
	for _, n := range []int{1, 1000, 100_000} {
		b.Run(fmt.Sprint("subscribers=", n), func(b *testing.B) {
			b.ReportAllocs()
			h := New()
			for range n {
				h.Subscribe("x", &sink{})
			}
			p := &Publication{Channel: "x"}
			for b.Loop() {
				h.Publish(p)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/subscriber")
		})
	}
}

func BenchmarkSubscribeUnsubscribe(b *testing.B) {
	b.ReportAllocs()
	h := New()
	for range 1000 {
		h.Subscribe("x", &sink{})
	}
	s := &sink{}
	for b.Loop() {
		sub := h.Subscribe("x", s)
		h.Unsubscribe(sub)
	}
}

func BenchmarkPublishParallel(b *testing.B) {
	b.ReportAllocs()
	h := New()
	channels := make([]string, 1024)
	for i := range channels {
		channels[i] = strconv.Itoa(i)
		h.Subscribe(channels[i], &sink{})
	}
	var next atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		i := int(next.Add(100))
		p := &Publication{}
		for pb.Next() {
			p.Channel = channels[i%len(channels)]
			h.Publish(p)
			i++
		}
	})
}

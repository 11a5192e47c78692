package hub

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

type recorder struct{ got []*Publication }

func (r *recorder) Deliver(p *Publication, _ *Subscription) { r.got = append(r.got, p) }

// member is one subscription of the model and what it should have received.
type member struct {
	sub      *Subscription
	channel  string
	recorder recorder
	want     []*Publication
}

// hubModel is a hub as a map from channel to members.
type hubModel struct {
	hub      *Hub
	channels map[string]map[*member]bool
	all      []*member
}

var names = []string{"a", "b", "__proto__", "constructor", "", "a/b c", "\xff\x00", "日本"}

func (m *hubModel) Subscribe(t *rapid.T) {
	for range rapid.IntRange(1, 40).Draw(t, "count") {
		mem := &member{channel: rapid.SampledFrom(names).Draw(t, "channel")}
		mem.sub = m.hub.Subscribe(mem.channel, &mem.recorder)
		if got := mem.sub.Channel(); got != mem.channel {
			t.Fatalf("Channel = %q, want %q", got, mem.channel)
		}
		if m.channels[mem.channel] == nil {
			m.channels[mem.channel] = map[*member]bool{}
		}
		m.channels[mem.channel][mem] = true
		m.all = append(m.all, mem)
	}
}

// Unsubscribe also picks members that have left before.
func (m *hubModel) Unsubscribe(t *rapid.T) {
	for range rapid.IntRange(1, 60).Draw(t, "count") {
		if len(m.all) == 0 {
			return
		}
		mem := rapid.SampledFrom(m.all).Draw(t, "member")
		m.hub.Unsubscribe(mem.sub)
		delete(m.channels[mem.channel], mem)
		if len(m.channels[mem.channel]) == 0 {
			delete(m.channels, mem.channel)
		}
	}
}

func (m *hubModel) Publish(t *rapid.T) {
	p := &Publication{Channel: rapid.SampledFrom(names).Draw(t, "channel")}
	if got, want := m.hub.Publish(p), len(m.channels[p.Channel]); got != want {
		t.Fatalf("Publish = %d, want %d", got, want)
	}
	for mem := range m.channels[p.Channel] {
		mem.want = append(mem.want, p)
	}
}

func (m *hubModel) Check(t *rapid.T) {
	for _, name := range names {
		if got, want := m.hub.Count(name), len(m.channels[name]); got != want || m.hub.Has(name) != (want > 0) {
			t.Fatalf("%q: Count = %d, Has = %v, want %d", name, got, m.hub.Has(name), want)
		}
	}
	got := slices.Sorted(slices.Values(m.hub.Channels()))
	if want := slices.Sorted(maps.Keys(m.channels)); !slices.Equal(got, want) {
		t.Fatalf("Channels = %q, want %q", got, want)
	}
	for i, mem := range m.all {
		if !slices.Equal(mem.recorder.got, mem.want) {
			t.Fatalf("member %d received %d publications, want %d, or in another order", i, len(mem.recorder.got), len(mem.want))
		}
	}
	for i := range m.hub.shards {
		for name, topic := range m.hub.shards[i].topics {
			if c, n := cap(topic.entries), len(topic.entries); n == 0 || c > max(listKeep, 4*n) {
				t.Fatalf("%q: capacity %d for %d subscribers", name, c, n)
			}
			for _, e := range topic.entries[len(topic.entries):cap(topic.entries)] {
				if e != (entry{}) {
					t.Fatalf("%q keeps a subscriber that has left", name)
				}
			}
		}
	}
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &hubModel{hub: New(), channels: map[string]map[*member]bool{}}
		t.Repeat(map[string]func(*rapid.T){
			"subscribe":   m.Subscribe,
			"unsubscribe": m.Unsubscribe,
			"publish":     m.Publish,
			"":            m.Check,
		})
	})
}

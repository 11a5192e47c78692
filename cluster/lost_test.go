package cluster_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/cluster"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// losing is a sink that also keeps what is lost. It takes publications without a position
// when held has been closed.
type losing struct {
	sink
	held chan struct{}
}

func (s *losing) Deliver(channel string, data []byte) {
	<-s.held
	s.sink.Deliver(channel, data)
}

func (s *losing) DeliverAt(channel, _ string, data []byte) { s.sink.Deliver(channel, data) }

func (s *losing) Lose(channel, position string, lost broker.Lost) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, fmt.Sprintf("%s lost %d-%d at %q", channel, lost.From, lost.To, position))
}

// Subscribers of a channel whose history is gone are told, and then get the new one.
func TestNewHistoryIsTold(t *testing.T) {
	nodes, _ := startStored(t, 1, withHistory)
	_, dial := serve(t, nodes[0], nil)
	c := sctest.Connect(t, dial, "")
	old := subscribe(t, c, `{"channel":"chat/a"}`)
	for i := range 3 {
		publish(t, nodes[0], "chat/a", "", i)
	}
	next(t, c, 3)
	quiet := nodes[0].Disturbed()
	if err := nodes[0].RemoveHistory(t.Context(), "chat/a"); err != nil {
		t.Fatal(err)
	}
	await(t, "the report of NATS", func() bool { return nodes[0].Disturbed() > quiet })
	var told struct {
		Channel string
		answer
	}
	c.Event("#lost", &told)
	if told.Channel != "chat/a" || told.Lost == nil || told.Lost.To != 0 || strings.SplitN(told.Position, ".", 2)[0] == strings.SplitN(old.Position, ".", 2)[0] {
		t.Errorf("got %+v, before it was %+v", told, old)
	}
	publish(t, nodes[0], "chat/a", "", 3)
	if got, _ := next(t, c, 1); got[0] != "3" {
		t.Errorf("got %v", got)
	}
	if got := c.Before(); len(got) > 0 {
		t.Errorf("before came %v", got)
	}
	again := sctest.Connect(t, dial, "")
	if a := subscribe(t, again, `{"channel":"chat/a","since":"`+told.Position+`"}`); a.Lost != nil {
		t.Errorf("since then %+v is lost", a.Lost)
	}
	next(t, again, 1)
}

// Subscribers of a channel without history are told that NATS has dropped something, and those
// of a channel with history get it nevertheless.
func TestDropsAreTold(t *testing.T) {
	nodes, _ := startStored(t, 2, withHistory)
	s := &losing{held: make(chan struct{})}
	release := sync.OnceFunc(func() { close(s.held) })
	t.Cleanup(release) // otherwise a test that fails would wait for the node for ever
	to, from := nodes[0].Broker(), nodes[1].Broker()
	if err := to.Start(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if err := from.Start(t.Context(), new(sink)); err != nil {
		t.Fatal(err)
	}
	// They share a queue with the one that blocks it, or not.
	channels := []string{"news", "chat/1", "chat/2", "chat/3", "chat/4", "chat/5", "chat/6", "chat/7", "chat/8"}
	for _, channel := range channels {
		if err := to.Subscribe(t.Context(), channel); err != nil {
			t.Fatal(err)
		}
	}
	told := func() bool { return slices.Contains(s.got(), `news lost 0-0 at ""`) }
	for begun := time.Now(); !told(); { // a queue has 16,384
		if time.Since(begun) > time.Minute {
			t.Fatal("nobody is told")
		}
		for range 500 {
			if err := from.Publish(t.Context(), "news", []byte("1")); err != nil {
				t.Fatal(err)
			}
		}
	}
	var want []string
	for _, channel := range channels[1:] {
		publish(t, nodes[1], channel, "", 5)
		want = append(want, channel+" 5")
	}
	release()
	await(t, "what is kept", func() bool {
		got := s.got()
		return !slices.ContainsFunc(want, func(text string) bool { return !slices.Contains(got, text) })
	})
	for _, text := range s.got() {
		if strings.HasPrefix(text, "chat/") && strings.Contains(text, "lost") {
			t.Error(text)
		}
	}
}

// A client that claims to have what never was makes the node tell nobody that anything is lost,
// not even on a channel of which everything has expired.
func TestForgedPositions(t *testing.T) {
	nodes, _ := startStored(t, 1, withHistory)
	_, dial := serve(t, nodes[0], nil)
	c := sctest.Connect(t, dial, "")
	subscribe(t, c, `{"channel":"brief/a"}`)
	publish(t, nodes[0], "brief/a", "", 1)
	_, position := next(t, c, 1)
	p, err := cluster.ParsePosition(position)
	if err != nil {
		t.Fatal(err)
	}
	await(t, "expiry", func() bool { return len(history(t, nodes[0], "brief/a", 1).Publications) == 0 })
	disturbed := time.Now()
	nodes[0].Disturb() // without it, nobody would be told anyway
	await(t, "a comparison", func() bool { return nodes[0].Sure("brief/a").After(disturbed) })
	before := nodes[0].Stats(t.Context())
	for _, seq := range []uint64{p.Seq + 1, 1 << 60} {
		p.Seq = seq
		subscribe(t, sctest.Connect(t, dial, ""), `{"channel":"brief/a","since":"`+p.String()+`"}`)
	}
	if s := nodes[0].Stats(t.Context()); s.Gaps != before.Gaps || s.Losses != before.Losses {
		t.Errorf("the node has read %d times, and told %d losses", s.Gaps-before.Gaps, s.Losses-before.Losses)
	}
	if _, err := c.Call("#unsubscribe", "brief/a"); err != nil {
		t.Fatal(err)
	}
	if got := c.Before(); len(got) > 0 {
		t.Errorf("a subscriber got %v", got)
	}
}

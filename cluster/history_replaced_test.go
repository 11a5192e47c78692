package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/socketcluster-go/socketcluster/broker"
)

// replaced is a channel whose stream becomes another one while the leader answers.
type replaced struct {
	*testing.T
	n  *Node
	s  *shard
	nc *nats.Conn

	mu  sync.Mutex
	got []string // by its subscribers
}

func (r *replaced) Deliver(string, []byte) {}

func (r *replaced) DeliverAt(_, _ string, data []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, string(data))
}

func (r *replaced) Lose(string, string, broker.Lost) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, "lost")
}

// ends waits until what the subscribers got ends with something.
func (r *replaced) ends(want ...string) {
	r.Helper()
	var got []string
	for begun := time.Now(); time.Since(begun) < time.Minute; time.Sleep(time.Millisecond) {
		r.mu.Lock()
		got = slices.Clone(r.got)
		r.mu.Unlock()
		if len(got) >= len(want) && slices.Equal(got[len(got)-len(want):], want) {
			return
		}
	}
	r.Fatalf("subscribers got %q, which should end with %q", got, want)
}

func (r *replaced) publish(text string) {
	if _, err := r.n.Publish(context.Background(), "chat/a", "", []byte(text)); err != nil {
		r.Error(err)
	}
}

// late makes one question for a message late.
func (r *replaced) late(which func(getRequest) bool, answer func(ask func() *nats.Msg) *nats.Msg) {
	r.Helper()
	var once sync.Once
	var over sync.WaitGroup
	r.Cleanup(over.Wait)
	_, err := r.nc.Subscribe("late", func(msg *nats.Msg) {
		var request getRequest
		_ = json.Unmarshal(msg.Data, &request) // the node has written it
		held := false
		if which(request) {
			once.Do(func() { held = true })
		}
		if !held {
			_ = r.nc.PublishRequest(directGet+r.s.stream, msg.Reply, msg.Data)
			return
		}
		over.Go(func() {
			a := answer(func() *nats.Msg {
				a, err := r.nc.Request(directGet+r.s.stream, msg.Data, 10*time.Second)
				if err != nil {
					r.Error(err)
					a = &nats.Msg{}
				}
				return a
			})
			_ = r.nc.PublishMsg(&nats.Msg{Subject: msg.Reply, Header: a.Header, Data: a.Data})
		})
	})
	if err == nil {
		err = r.n.engine.srv.GlobalAccount().AddMapping(r.n.subject(ledPrefix+askMessage)+r.s.stream, "late")
	}
	if err == nil {
		err = r.nc.Flush()
	}
	if err != nil {
		r.Fatal(err)
	}
}

// another makes the stream another one, and waits until the node knows.
func (r *replaced) another() {
	epoch := r.s.getEpoch()
	if err := r.n.js.DeleteStream(context.Background(), r.s.stream); err != nil {
		r.Error(err)
	}
	for r.s.getEpoch() == epoch {
		time.Sleep(time.Millisecond)
	}
}

// newReplaced returns a channel with three publications.
func newReplaced(t *testing.T) *replaced {
	t.Helper()
	r := &replaced{T: t}
	r.n, r.s, _ = storedChannel(t, 3)
	nc := connected(t, r.n)
	r.nc = nc
	if err := r.n.channels.Start(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return r
}

func lastFor(r getRequest) bool { return r.LastFor != "" }

// A subscription begins in the stream that is there then.
func TestStreamIsReplacedAtTheBeginning(t *testing.T) {
	t.Parallel()
	r := newReplaced(t)
	r.late(lastFor, func(ask func() *nats.Msg) *nats.Msg {
		old := ask()
		r.another()
		return old
	})
	if err := r.n.channels.Subscribe(t.Context(), "chat/a"); err != nil {
		t.Fatal(err)
	}
	r.publish("new")
	r.ends("new")
}

// What was read of a stream that is another one now is not delivered.
func TestStreamIsReplacedDuringARead(t *testing.T) {
	t.Parallel()
	r := newReplaced(t)
	if err := r.n.channels.Subscribe(t.Context(), "chat/a"); err != nil {
		t.Fatal(err)
	}
	f := r.n.history.follower("chat/a")
	f.mu.Lock()
	f.at = 0 // as if the channel had been empty, and the three had been missed
	f.mu.Unlock()
	r.late(func(r getRequest) bool { return r.NextFor != "" }, func(ask func() *nats.Msg) *nats.Msg {
		r.another()
		r.publish("new 1")
		return ask()
	})
	f.behind(3)
	r.ends("lost", "new 1")
	r.publish("new 2")
	r.ends("lost", "new 1", "new 2")
}

// A client that comes back from before is told, also if the new stream has got as far.
func TestStreamIsReplacedDuringAJoin(t *testing.T) {
	t.Parallel()
	r := newReplaced(t)
	if err := r.n.channels.Subscribe(t.Context(), "chat/a"); err != nil {
		t.Fatal(err)
	}
	since := Position{r.s.getEpoch(), 1, time.Now()}
	r.late(lastFor, func(ask func() *nats.Msg) *nats.Msg {
		old := ask()
		r.another()
		r.publish("new 1")
		r.publish("new 2")
		r.ends("lost", "new 1", "new 2")
		return old
	})
	var past broker.Past
	err := r.n.channels.Join(t.Context(), "chat/a", broker.From{Since: since.String()}, func(p broker.Past) { past = p })
	if err != nil || past.Lost == nil {
		t.Errorf("since %v it gets %+v, %v", since, past, err)
	}
}

// The position of a publication is of the stream that has it.
func TestStreamIsReplacedAfterAPublication(t *testing.T) {
	t.Parallel()
	r := newReplaced(t)
	if err := r.n.channels.Subscribe(t.Context(), "chat/a"); err != nil {
		t.Fatal(err)
	}
	if err := r.n.channels.subs["chat/a"].Unsubscribe(); err != nil {
		t.Fatal(err)
	}
	epoch := r.s.getEpoch()
	r.late(lastFor, func(ask func() *nats.Msg) *nats.Msg { // the publisher waits for this
		old := ask()
		r.another()
		return old
	})
	p, err := r.n.Publish(t.Context(), "chat/a", "", []byte("old"))
	if err != nil || p.Epoch != epoch || r.s.getEpoch() == epoch {
		t.Errorf("%v, %v; it was stored in %s, and %s is there now", p, err, epoch, r.s.getEpoch())
	}
}

// A live publication of the stream that was may come late. It is read for once.
func TestLiveOfTheStreamThatWas(t *testing.T) {
	t.Parallel()
	r := newReplaced(t)
	if err := r.n.channels.Subscribe(t.Context(), "chat/a"); err != nil {
		t.Fatal(err)
	}
	r.another()
	r.publish("new 1")
	r.ends("lost", "new 1")
	before := r.n.history.gaps.Load()
	if err := r.n.ForgeHere("chat/a", 95); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	if gaps := r.n.history.gaps.Load() - before; gaps == 0 || gaps > 3 {
		t.Errorf("the node has read %d times", gaps)
	}
	r.publish("new 2")
	r.ends("lost", "new 1", "new 2")
}

// It may have waited when the stream became another one.
func TestLiveOfTheStreamThatWasWaits(t *testing.T) {
	t.Parallel()
	r := newReplaced(t)
	if err := r.n.channels.Subscribe(t.Context(), "chat/a"); err != nil {
		t.Fatal(err)
	}
	r.late(lastFor, func(ask func() *nats.Msg) *nats.Msg {
		old := ask()
		r.another()
		return old
	})
	if err := r.n.ForgeHere("chat/a", 95); err != nil {
		t.Fatal(err)
	}
	r.ends("lost")
	r.publish("new 1")
	r.ends("lost", "new 1")
}

// A copy of the stream that was has numbers that the new one has not. To a node that has compared with it,
// they mean nothing.
func TestComparedWithTheStreamThatWas(t *testing.T) {
	t.Parallel()
	r := newReplaced(t)
	if err := r.n.channels.Subscribe(t.Context(), "chat/a"); err != nil {
		t.Fatal(err)
	}
	if err := r.n.Deafen("chat/a"); err != nil {
		t.Fatal(err)
	}
	account := r.n.engine.srv.GlobalAccount()
	var once sync.Once
	asked := make(chan error, 1)
	_, err := r.nc.Subscribe("was", func(msg *nats.Msg) {
		once.Do(func() {
			account.RemoveMapping(directGet + r.s.stream)
			asked <- r.n.PublishUnseen("chat/a", "new")
			for st := (streamState{}); st.last < 4; { // stored, before the node asks for the state
				st, _ = r.n.history.state(t.Context(), r.s)
			}
		})
		_ = msg.RespondMsg(&nats.Msg{Header: nats.Header{"Status": {"204"}, "Nats-UpTo-Sequence": {"95"}}})
	})
	if err := errors.Join(err, r.nc.Flush(), account.AddMapping(directGet+r.s.stream, "was")); err != nil {
		t.Fatal(err)
	}
	if err := <-asked; err != nil {
		t.Fatal(err)
	}
	r.ends("new")
}

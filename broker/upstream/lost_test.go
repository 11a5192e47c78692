package upstream_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/broker/upstream"
)

// shelf is the broker of an upstream server that keeps the last two publications of its only
// channel, also when the server ends.
type shelf struct {
	mu   sync.Mutex
	sink broker.PositionSink
	all  []broker.Publication
}

func (k *shelf) Start(_ context.Context, sink broker.Sink) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sink = sink.(broker.PositionSink)
	return nil
}

func shelfPosition(n int) string { return fmt.Sprintf("e.%d.1", n) }

func (k *shelf) Publish(_ context.Context, channel string, data []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := broker.Publication{Position: shelfPosition(len(k.all) + 1), Data: slices.Clone(data)}
	k.all = append(k.all, p)
	k.sink.DeliverAt(channel, p.Position, p.Data)
	return nil
}

func (k *shelf) PublishOnce(ctx context.Context, channel, _ string, data []byte) (string, error) {
	return "", k.Publish(ctx, channel, data)
}

func (k *shelf) Subscribe(context.Context, string) error   { return nil }
func (k *shelf) Unsubscribe(context.Context, string) error { return nil }
func (k *shelf) Close() error                              { return nil }

func (k *shelf) Join(_ context.Context, _ string, from broker.From, enter func(broker.Past)) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	begin := len(k.all)
	if from.Since != "" {
		var err error
		if begin, err = strconv.Atoi(strings.Split(from.Since, ".")[1]); err != nil {
			return err
		}
	}
	var past broker.Past
	if first := max(0, len(k.all)-2); begin < first {
		past.Lost = &broker.Lost{From: uint64(begin + 1), To: uint64(first)}
		begin = first
	}
	past.Begin, past.Publications, past.Position = shelfPosition(begin), k.all[begin:], shelfPosition(len(k.all))
	enter(past)
	return nil
}

func (k *shelf) History(context.Context, string, int) (broker.Past, error) {
	return broker.Past{}, errors.New("it is not needed")
}

// The node continues where it was if the upstream server keeps what it has missed, and tells
// its own subscribers of what the upstream server says is lost.
func TestUpstreamHistory(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		k := new(shelf)
		w.up(socketcluster.Config{Broker: k}, nil)
		w.start(upstream.Options{}, "a")
		away := func(first, last int) {
			w.down()
			w.up(socketcluster.Config{Broker: k}, nil)
			for i := first; i <= last; i++ {
				w.publish("a", strconv.Itoa(i))
			}
			time.Sleep(10 * time.Second)
		}
		w.publish("a", "1")
		w.received(`a "1"`)
		away(2, 3)
		w.received(`a "2"`, `a "3"`)
		away(4, 6)
		w.received(`a "5"`, `a "6"`, "a lost 4-4")
		k.sink.Lose("a", shelfPosition(8), broker.Lost{From: 7, To: 8})
		w.publish("a", "9")
		w.received("a lost 7-8") // it has the number 7
		k.sink.Lose("a", "", broker.Lost{})
		w.received("a lost 0-0")
	})
}

// The subscribers of the node get the report in the place of what is lost.
func TestSubscribersAreTold(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.up(socketcluster.Config{}, nil)
		w.newNode(upstream.Options{})
		srv, err := socketcluster.New(socketcluster.Config{Broker: w.node})
		if err != nil {
			t.Fatal(err)
		}
		defer srv.Close()
		sub, err := srv.Exchange().Subscribe(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		w.publish("a", "before")
		synctest.Wait()
		w.down()
		w.up(socketcluster.Config{}, nil)
		w.publish("a", "meanwhile")
		time.Sleep(10 * time.Second)
		w.publish("a", "after")
		var got []string
		for text, err := range socketcluster.Messages[string](sub) {
			if _, ok := errors.AsType[*socketcluster.LostError](err); ok {
				text = "lost"
			}
			if got = append(got, text); text == "after" {
				break
			}
		}
		if want := []string{"before", "lost", "after"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

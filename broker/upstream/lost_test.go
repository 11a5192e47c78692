package upstream_test

import (
	"errors"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/broker/upstream"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// The node continues where it was if the upstream server keeps what it has missed, and tells
// its own subscribers of what the upstream server says is lost.
func TestUpstreamHistory(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		k := sctest.NewShelf(2, "e.%d.1")
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
		k.Sink.Lose("a", k.Position(8), broker.Lost{From: 7, To: 8})
		w.publish("a", "9")
		w.received("a lost 7-8") // it has the number 7
		k.Sink.Lose("a", "", broker.Lost{})
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

package socketcluster_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/broker/mem"
)

// keeper is a broker that keeps the channel "kept", and what has an id once.
type keeper struct {
	broker.Broker
	ids  map[string]int
	last int
	fail error
}

func (*keeper) Keeps(channel string) bool { return channel == "kept" }

func (k *keeper) PublishOnce(ctx context.Context, channel, id string, data []byte) (string, error) {
	switch {
	case k.fail != nil:
		return "", k.fail
	case channel != "kept":
		return "", k.Publish(ctx, channel, data)
	case id != "" && k.ids[id] > 0:
		return fmt.Sprint("at ", k.ids[id]), nil
	}
	k.last++
	k.ids[id] = k.last
	return fmt.Sprint("at ", k.last), k.Publish(ctx, channel, data)
}

func (*keeper) Join(_ context.Context, _ string, _ broker.From, enter func(broker.Past)) error {
	enter(broker.Past{})
	return nil
}

func (*keeper) History(context.Context, string, int) (broker.Past, error) { return broker.Past{}, nil }

// The server tells the application of each publication that has been accepted, in order
// and before the answer.
func TestPublishEvent(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		got := make(chan string, 10)
		off := socketcluster.On(w.srv, func(e socketcluster.PublishEvent) {
			from := "the server"
			if e.Socket != nil {
				from = e.Socket.ID()
				e.Socket.Transmit(t.Context(), "told", nil)
			}
			got <- fmt.Sprintf("%s %s %s %q", from, e.Channel, e.Data, e.Position)
		})
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.PublishIn) error {
			if a.Channel == "no" {
				return socketcluster.ErrBlocked
			}
			a.Data = append([]byte("1"), a.Data...)
			return nil
		})
		p := w.client()
		id := w.only().ID()
		p.send(`{"event":"#publish","data":{"channel":"no","data":1},"cid":2}`)
		if text := p.next(); !strings.Contains(text, "SilentMiddlewareBlockedError") {
			t.Errorf("the answer is %s", text)
		}
		p.send(`{"event":"#publish","data":{"channel":"a","data":1},"cid":3}`)
		p.want(`{"event":"told"}`, `{"rid":3}`)
		p.send(`{"event":"#publish","data":{"channel":"b"}}`)
		p.want(`{"event":"told"}`)
		if err := w.srv.Exchange().Publish(t.Context(), "c", "x"); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{id + ` a 11 ""`, id + ` b 1 ""`, `the server c "x" ""`} {
			if text := <-got; text != want {
				t.Errorf("got %s, want %s", text, want)
			}
		}
		off()
		p.send(`{"event":"#publish","data":{"channel":"a","data":1},"cid":4}`)
		p.want(`{"rid":4}`)
		if len(got) > 0 {
			t.Errorf("got %s", <-got)
		}
	})
}

// A client may give its publication an id. The answer says where it is stored, if it is.
func TestPublishWithID(t *testing.T) {
	k := &keeper{Broker: new(mem.Broker), ids: make(map[string]int)}
	inBubble(t, socketcluster.Config{Broker: k}, func(w *world) {
		got := make(chan string, 10)
		socketcluster.On(w.srv, func(e socketcluster.PublishEvent) { got <- e.Channel + " " + e.Position })
		p := w.client()
		p.send(`{"event":"#subscribe","data":{"channel":"kept"},"cid":2}`)
		p.want(`{"rid":2}`)
		p.send(`{"event":"#publish","data":{"channel":"kept","data":1,"id":"x"},"cid":3}`)
		p.want(`{"event":"#publish","data":{"channel":"kept","data":1}}`, `{"rid":3,"data":{"position":"at 1"}}`)
		p.send(`{"event":"#publish","data":{"channel":"kept","data":1,"id":"x"},"cid":4}`)
		p.want(`{"rid":4,"data":{"position":"at 1"}}`)
		p.send(`{"event":"#publish","data":{"channel":"kept","id":null},"cid":5}`)
		p.want(`{"event":"#publish","data":{"channel":"kept"}}`, `{"rid":5,"data":{"position":"at 2"}}`)
		p.send(`{"event":"#publish","data":{"channel":"plain","id":"x"},"cid":6}`)
		p.want(`{"rid":6}`)
		for _, want := range []string{"kept at 1", "kept at 1", "kept at 2", "plain "} {
			if text := <-got; text != want {
				t.Errorf("the event is of %s, want %s", text, want)
			}
		}
		for _, id := range []string{"1", `""`, "{}", `"` + strings.Repeat("x", 257) + `"`, `"\ud800"`} {
			p.send(`{"event":"#publish","data":{"channel":"kept","id":` + id + `},"cid":7}`)
			p.want(`{"rid":7,"error":{"message":"The id of a publication must be a text of 1 to 256 bytes","name":"InvalidActionError"}}`)
		}
		k.fail = errors.New("broken")
		p.send(`{"event":"#publish","data":{"channel":"kept"},"cid":8}`)
		p.want(`{"rid":8,"error":{"message":"An internal error occurred","name":"InternalError"}}`)
		if k.last != 2 || len(got) > 0 {
			t.Errorf("%d are kept, %d events", k.last, len(got))
		}
	})
}

package upstream_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/broker/upstream"
	"github.com/socketcluster-go/socketcluster/internal/logtest"
	"github.com/socketcluster-go/socketcluster/internal/memnet"
)

// world is an upstream server in memory that can go and return, and a node, inside a
// synctest bubble.
type world struct {
	*testing.T
	logs logtest.Buffer

	mu     sync.Mutex
	listen *memnet.Listener // nil while there is no server
	conns  []net.Conn
	dials  []time.Time
	srv    *socketcluster.Server
	web    *http.Server

	node *upstream.Broker
	gaps []upstream.Gap
	got  []string
	hold chan struct{} // if not nil, the sink waits for it, until a gap begins
}

// inBubble runs a test with a world without a server.
func inBubble(t *testing.T, fn func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t}
		defer func() {
			if w.node != nil {
				w.node.Close()
			}
			if w.listen != nil {
				w.down()
			}
		}()
		fn(t, w)
	})
}

// up starts the upstream server. setup, if not nil, registers its middleware.
func (w *world) up(cfg socketcluster.Config, setup func(*socketcluster.Server)) {
	w.Helper()
	if cfg.Auth.Key == "" {
		cfg.Auth = auth.Options{Key: "the key of the upstream server in these tests"}
	}
	cfg.Logger = slog.New(slog.DiscardHandler)
	srv, err := socketcluster.New(cfg)
	if err != nil {
		w.Fatal(err)
	}
	if setup != nil {
		setup(srv)
	}
	web := &http.Server{Handler: srv}
	listen := memnet.Listen()
	go web.Serve(listen)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.srv, w.web, w.listen = srv, web, listen
}

// down ends the upstream server as the end of its process does, without a close
// frame.
func (w *world) down() {
	w.mu.Lock()
	conns, srv, web := w.conns, w.srv, w.web
	w.listen, w.conns = nil, nil
	w.mu.Unlock()
	for _, c := range conns {
		c.Close()
	}
	srv.Close()
	web.Close()
	synctest.Wait()
}

func (w *world) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dials = append(w.dials, time.Now())
	if w.listen == nil {
		return nil, errors.New("connection refused")
	}
	conn, err := w.listen.Dial(ctx)
	w.conns = append(w.conns, conn)
	return conn, err
}

// newNode makes the node.
func (w *world) newNode(o upstream.Options) {
	w.Helper()
	o.URL = "ws://upstream"
	o.Client.DialContext = w.dial
	o.Client.Logger = w.logs.Logger()
	o.OnGap = func(g upstream.Gap) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.gaps = append(w.gaps, g)
		if w.hold != nil {
			close(w.hold)
			w.hold = nil
		}
	}
	b, err := upstream.New(o)
	if err != nil {
		w.Fatal(err)
	}
	w.node = b
}

// start starts the node, and subscribes it to channels.
func (w *world) start(o upstream.Options, channels ...string) {
	w.Helper()
	w.newNode(o)
	if err := w.node.Start(context.Background(), w); err != nil {
		w.Fatal(err)
	}
	for _, channel := range channels {
		if err := w.node.Subscribe(w.Context(), channel); err != nil {
			w.Fatal(err)
		}
	}
}

// Deliver implements broker.Sink.
func (w *world) Deliver(channel string, data []byte) {
	w.mu.Lock()
	hold := w.hold
	w.mu.Unlock()
	if hold != nil {
		<-hold
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got = append(w.got, channel+" "+string(data))
}

// DeliverAt implements broker.PositionSink. A node with this broker has no positions.
func (w *world) DeliverAt(channel, position string, data []byte) {
	w.Errorf("%s is delivered at %s", channel, position)
}

// Lose implements broker.PositionSink.
func (w *world) Lose(channel, position string, lost broker.Lost) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got = append(w.got, fmt.Sprintf("%s lost%s %d-%d", channel, position, lost.From, lost.To))
}

// received checks what has been delivered since the last call.
func (w *world) received(want ...string) {
	w.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.got, want) {
		w.Errorf("delivered %q, want %q", w.got, want)
	}
	w.got = nil
}

// takeGaps returns what has been reported since the last call.
func (w *world) takeGaps() []upstream.Gap {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	gaps := w.gaps
	w.gaps = nil
	return gaps
}

// began checks that one gap has been reported, which has begun.
func (w *world) began(channel string, from time.Time) upstream.Gap {
	w.Helper()
	gaps := w.takeGaps()
	if len(gaps) != 1 || gaps[0].Channel != channel || !gaps[0].From.Equal(from) || !gaps[0].To.IsZero() || gaps[0].Cause == nil {
		w.Fatalf("gaps: %+v, want one of %q from %v", gaps, channel, from)
	}
	return gaps[0]
}

// ended checks that one gap has been reported, which has ended now or at most the given time
// ago.
func (w *world) ended(begun upstream.Gap, within time.Duration) {
	w.Helper()
	gaps := w.takeGaps()
	if len(gaps) != 1 || gaps[0].Channel != begun.Channel || !gaps[0].From.Equal(begun.From) || gaps[0].Cause != begun.Cause {
		w.Fatalf("gaps: %+v, want the end of %+v", gaps, begun)
	}
	if ago := time.Since(gaps[0].To); ago < 0 || ago > within {
		w.Errorf("the gap has ended %v ago", ago)
	}
}

// publish publishes at the upstream server itself.
func (w *world) publish(channel, data string) {
	w.Helper()
	if err := w.srv.Exchange().Publish(w.Context(), channel, data); err != nil {
		w.Fatal(err)
	}
}

// only returns the node's socket at the upstream server.
func (w *world) only() *socketcluster.Socket {
	w.Helper()
	synctest.Wait()
	var found []*socketcluster.Socket
	for s := range w.srv.Clients() {
		found = append(found, s)
	}
	if len(found) != 1 {
		w.Fatalf("the upstream server has %d clients", len(found))
	}
	return found[0]
}

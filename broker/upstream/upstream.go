package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/internal/lane"
	"github.com/socketcluster-go/socketcluster/wire"
)

// Broker is a [broker.Broker] that is a client of another SocketCluster server.
// It belongs to one server.
type Broker struct {
	opts Options
	log  *slog.Logger
	c    *client.Client
	sink broker.Sink

	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	sessions sync.WaitGroup
	logins   chan struct{} // holds a token when the client has been authenticated
	logouts  chan struct{} // holds a token when the client has lost its login
	failed   chan error    // holds why the first session has failed, for Start
	reports  lane.Lane[Gap]

	// mu guards what follows. The locks of the client and of the lane are below
	// it. No code of the application runs while it is held.
	mu      sync.Mutex
	started bool
	closed  bool

	ready      chan struct{}      // closed while the client is connected and logged in
	downSince  time.Time          // when that has ended
	endSession context.CancelFunc // of the current connection
	connected  time.Time          // when it began
	ping       time.Duration      // within which its loss is noticed
	refused    int                // connections that have ended for good, in a row
	reconnect  *time.Timer        // after one of them

	channels map[string]*channel
	gap      *Gap // of all channels, or nil
	missing  int  // channels that have not been renewed since it began
	asked    int  // how often channels were asked for again, in a row
	again    *time.Timer
}

var _ broker.Broker = (*Broker)(nil)

// channel is a channel that the node has subscribed to, or is subscribing to.
type channel struct {
	sub     *client.Subscription
	first   func() // see request
	joined  bool   // Subscribe has returned
	missing bool   // it has not been renewed since the connection was lost
	gap     *Gap   // its own, or nil
}

// New returns a broker that is not connected: Start, which
// [github.com/socketcluster-go/socketcluster.New] calls, connects it. It fails if
// the options are not valid.
func New(o Options) (*Broker, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	if o.Client.Logger == nil {
		o.Client.Logger = slog.Default()
	}
	c, err := client.New(o.URL, o.Client)
	if err != nil {
		return nil, fmt.Errorf("upstream: %w", err)
	}
	b := &Broker{
		opts: o, c: c,
		log:      o.Client.Logger.With(slog.String("upstream", c.URL())),
		logins:   make(chan struct{}, 1),
		logouts:  make(chan struct{}, 1),
		failed:   make(chan error, 1),
		ready:    make(chan struct{}),
		channels: make(map[string]*channel),
	}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b, nil
}

// Client returns the client of the upstream server, for calls to its procedures.
// Do not close it, and do not subscribe it to channels.
func (b *Broker) Client() *client.Client { return b.c }

var errStarted = errors.New("upstream: the broker already belongs to a server; each server needs a Config.Broker of its own")

// Start implements [broker.Broker]: it connects and logs in. If that fails, the
// broker is closed. It fails for a second server.
func (b *Broker) Start(ctx context.Context, sink broker.Sink) error {
	b.mu.Lock()
	started := b.started
	b.started = true
	b.mu.Unlock()
	if started {
		return errStarted
	}
	b.sink = sink
	b.listen()
	err := b.c.Connect(ctx)
	if err == nil {
		select {
		case <-b.readiness():
			return nil
		case err = <-b.failed:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	b.Close()
	return fmt.Errorf("upstream: %w", err)
}

// Publish implements [broker.Broker]: the upstream server publishes, and its
// answer is the result. See the package about waiting.
func (b *Broker) Publish(ctx context.Context, channel string, data []byte) error {
	if err := b.await(ctx); err != nil {
		return err
	}
	return b.c.Publish(ctx, channel, json.RawMessage(data))
}

// Subscribe implements [broker.Broker]. It waits for the confirmation of the
// upstream server, and returns its refusal as it is. See the package about
// waiting.
func (b *Broker) Subscribe(ctx context.Context, name string) error {
	if err := b.await(ctx); err != nil {
		return err
	}
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, b.opts.Client.Timeouts.Ack, errNotConfirmed)
		defer cancel()
	}
	b.mu.Lock()
	ch := new(channel)
	err := b.request(name, ch, func() {})
	if err == nil {
		b.channels[name] = ch
	}
	b.mu.Unlock()
	if err != nil {
		return err
	}
	if err := ch.sub.Wait(ctx); err != nil {
		ch.sub.Close()
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.channels, name)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	ch.joined = true
	if b.gap != nil && b.c.ChannelState(name) != client.Subscribed { // the connection was lost in between
		b.miss(ch)
	}
	b.ended(name)
	return nil
}

// errNotConfirmed is the error of a subscription that has not been confirmed
// within Timeouts.Ack.
var errNotConfirmed = fmt.Errorf("upstream: the upstream server has not confirmed the subscription: %w", wire.ErrTimeout)

// request asks the upstream server for a channel, now or when there is a
// connection. first is called before all that it delivers. mu must be held.
func (b *Broker) request(name string, ch *channel, first func()) error {
	deliver := func(data json.RawMessage) {
		first()
		b.sink.Deliver(name, data)
	}
	lose := func(e *socketcluster.LostError) {
		first()
		b.lose(name, broker.Lost{From: e.From, To: e.To})
	}
	sub, err := b.c.SubscribeFunc(context.Background(), name, deliver, client.OnLost(lose), client.PendingOK())
	if err == nil {
		ch.sub, ch.first = sub, first
	}
	return err
}

// lose tells the sink what will not come. Its position is that of a channel that keeps
// nothing, as this broker has no histories.
func (b *Broker) lose(name string, lost broker.Lost) {
	if s, ok := b.sink.(broker.PositionSink); ok {
		s.Lose(name, "", lost)
	}
}

// Unsubscribe implements [broker.Broker]. It does not wait.
func (b *Broker) Unsubscribe(_ context.Context, name string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	ch := b.channels[name]
	if ch == nil {
		return nil
	}
	delete(b.channels, name)
	ch.sub.Close()
	b.renewed(ch)
	return nil
}

// Close implements [broker.Broker].
func (b *Broker) Close() error {
	b.mu.Lock()
	b.closed = true
	for _, timer := range []*time.Timer{b.reconnect, b.again} {
		if timer != nil {
			timer.Stop()
		}
	}
	b.mu.Unlock()
	b.cancel()
	b.c.Close()
	b.sessions.Wait()
	b.reports.Close(nil)
	return nil
}

// readiness returns the channel that is closed while the client is logged in.
func (b *Broker) readiness() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ready
}

// await waits until the client is connected and logged in, or an outage has lasted
// for Timeouts.Ack.
func (b *Broker) await(ctx context.Context) error {
	b.mu.Lock()
	ready, until := b.ready, b.downSince.Add(b.opts.Client.Timeouts.Ack)
	b.mu.Unlock()
	select {
	case <-ready:
		return nil
	default:
	}
	late := time.NewTimer(time.Until(until))
	defer late.Stop()
	select {
	case <-ready:
		return nil
	case <-late.C:
		return &wire.Error{Name: wire.ErrBadConnection.Name, Message: "There is no connection to the upstream server"}
	case <-ctx.Done():
		return ctx.Err()
	case <-b.ctx.Done():
		return client.ErrClosed
	}
}

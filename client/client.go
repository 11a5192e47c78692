package client

import (
	"context"
	"iter"
	"log/slog"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/handling"
	"github.com/socketcluster-go/socketcluster/internal/lane"
	"github.com/socketcluster-go/socketcluster/internal/wheel"
	"github.com/socketcluster-go/socketcluster/wire"
)

// Client is a client of one server. It has one connection at a time, and keeps
// its subscriptions and its token from one to the next. Its methods are safe
// for concurrent use.
type Client struct {
	url  *url.URL
	opts Options
	log  *slog.Logger
	rt   *Runtime

	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	storing     context.Context // ends when Close has waited for the store
	stopStoring context.CancelFunc

	ended func()         // ends a runtime of its own
	links sync.WaitGroup // connections that still exist

	listeners     listeners
	calls         handling.Table[socketcluster.Handler]
	transmissions handling.Table[socketcluster.Receiver]

	events    lane.Lane[queued]
	finished  chan struct{} // closed after the last event
	store     lane.Lane[func()]
	followers lane.Lane[struct{}]
	unfollow  func() // nil if the store cannot be watched

	waiting atomic.Int64  // bytes that wait for handlers, see Limits.Held
	room    chan struct{} // holds a token when there may be room again
	slots   chan struct{} // of Limits.Calls

	feeding sync.Mutex // held while a publication is passed on; taken before mu

	// mu guards what follows, and the fields of links, channels and
	// subscriptions that say so. The locks in the lanes, the outbox, the tables
	// of calls and the wheel are leaves below it. No code of the application
	// runs while it is held, except Options.Codec: packets are encoded in the
	// order in which they leave.
	mu         sync.Mutex
	closed     bool // by Close
	state      socketcluster.State
	link       *link // nil if and only if state is Closed
	id         string
	attempts   int       // since the last handshake that succeeded
	retryAt    time.Time // of the next attempt; zero if none is pending
	retryTimer wheel.Timer
	lastCall   uint64 // the last ID of a call on an earlier connection

	buffer      []*packet // that wait for a connection, in order
	bufferBytes int

	channels map[string]*channel
	asking   bool   // subscriptions are requested: the client is connected, see Options.DelaySubscriptions
	subCount uint64 // counts channels, for the order of their requests

	authState socketcluster.AuthState
	token     *auth.Token // nil if the token cannot be decoded
	signed    string      // "" if not authenticated
	held      string      // the last token that was in force
	refused   string      // the last one that the server has refused
	looked    bool        // a handshake has presented what was in the store
	logouts   int         // an answer to what was sent before one must not log the user in again
	missed    bool        // another client has changed the store during the handshake

	emitting int                      // events that wait, or are being emitted
	queues   map[queueName]*nameQueue // that have work
}

// New returns a client that is not connected. The URL begins with ws:// or
// wss://; http:// and https:// mean the same. Its path is /socketcluster/ if it
// has none. A query is sent as it is; a user and password are sent as basic
// authentication.
//
// Register handlers, then call [Client.Connect]. [Dial] does both at once for a
// client without handlers. Call [Client.Close] in the end, even if the client has
// never been connected.
func New(rawURL string, o Options) (*Client, error) {
	u, err := parseURL(rawURL)
	if err != nil {
		return nil, err
	}
	if err := o.setDefaults(u); err != nil {
		return nil, err
	}
	c := &Client{
		url: u, opts: o, log: o.Logger, rt: o.Runtime,
		state:    socketcluster.Closed,
		finished: make(chan struct{}),
		room:     make(chan struct{}, 1),
		slots:    make(chan struct{}, o.Limits.Calls),
	}
	c.ctx, c.cancel = context.WithCancel(context.WithValue(context.Background(), clientKey{}, c))
	c.storing, c.stopStoring = context.WithCancel(context.WithoutCancel(c.ctx))
	if c.rt == nil {
		c.rt = NewRuntime()
		c.ended = c.rt.Close
	}
	if c.opts.TokenStore == nil {
		c.opts.TokenStore = new(MemoryStore) // which nobody else uses
	} else {
		c.follow()
	}
	return c, nil
}

// Dial returns a client that is connected: it is [New] and [Client.Connect]. If
// the first attempt fails, the client is closed and the error returned.
func Dial(ctx context.Context, rawURL string, o Options) (*Client, error) {
	c, err := New(rawURL, o)
	if err != nil {
		return nil, err
	}
	if err := c.Connect(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

type clientKey struct{}

// FromContext returns the client for which a handler is running, or nil.
func FromContext(ctx context.Context) *Client {
	c, _ := ctx.Value(clientKey{}).(*Client)
	return c
}

// ID returns the ID that the server has given to the connection, or "" if there
// is none.
func (c *Client) ID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.id
}

// URL returns the URL of the server, without a user, a password and a query, which may
// be secrets.
func (c *Client) URL() string {
	u := *c.url
	u.User, u.RawQuery = nil, ""
	return u.String()
}

// State returns the state of the connection. Unlike that of a server's socket,
// it changes again after Closed.
func (c *Client) State() socketcluster.State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// NextAttempt returns when the client will connect again. ok is false if no
// attempt is pending. JavaScript: pendingReconnect and pendingReconnectTimeout.
func (c *Client) NextAttempt() (at time.Time, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.retryAt, !c.retryAt.IsZero()
}

// AuthState reports whether the client is authenticated, as far as it knows.
func (c *Client) AuthState() socketcluster.AuthState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.authState
}

// AuthToken returns the token of the client. It is not verified, because the
// client has no key: claims are for display only. It is nil if the client is
// not authenticated, or its token is not a JWT.
func (c *Client) AuthToken() *auth.Token {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.token
}

// SignedAuthToken returns the text of the token, or "" if the client is not
// authenticated.
func (c *Client) SignedAuthToken() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.signed
}

// Subscriptions yields the names of the channels to which the client is
// subscribed, in no particular order.
func (c *Client) Subscriptions() iter.Seq[string] {
	return slices.Values(c.channelsThatAre(Subscribed))
}

// PendingSubscriptions yields the names of the channels that the client wants,
// and that are not subscribed yet, in no particular order.
func (c *Client) PendingSubscriptions() iter.Seq[string] {
	return slices.Values(c.channelsThatAre(Pending))
}

func (c *Client) channelsThatAre(state ChannelState) (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, ch := range c.channels {
		if ch.state == state {
			names = append(names, name)
		}
	}
	return names
}

// IsSubscribed reports whether the server has subscribed the client to a
// channel.
func (c *Client) IsSubscribed(channel string) bool { return c.ChannelState(channel) == Subscribed }

// ChannelState returns the state of a channel. It is Unsubscribed for one that
// nobody wants.
func (c *Client) ChannelState(channel string) ChannelState {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ch := c.channels[channel]; ch != nil {
		return ch.state
	}
	return Unsubscribed
}

// hold counts bytes that wait for handlers.
func (c *Client) hold(n int) { c.waiting.Add(int64(n)) }

// release counts them off, and lets reading go on.
func (c *Client) release(n int) {
	c.waiting.Add(int64(-n))
	c.wake()
}

// wake makes a reading goroutine that waits for room look again.
func (c *Client) wake() {
	select {
	case c.room <- struct{}{}:
	default:
	}
}

// wireLimits bounds the packets of one message.
func (c *Client) wireLimits() wire.Limits { return wire.Limits{BatchSize: c.opts.Limits.BatchSize} }

package socketcluster

import (
	"context"
	"iter"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/account"
	"github.com/socketcluster-go/socketcluster/internal/bucket"
	"github.com/socketcluster-go/socketcluster/internal/calls"
	"github.com/socketcluster-go/socketcluster/internal/hub"
	"github.com/socketcluster-go/socketcluster/internal/lane"
	"github.com/socketcluster-go/socketcluster/internal/loop"
	"github.com/socketcluster-go/socketcluster/internal/outbox"
	"github.com/socketcluster-go/socketcluster/internal/wheel"
	"github.com/socketcluster-go/socketcluster/internal/ws"
	"github.com/socketcluster-go/socketcluster/wire"
)

// State is the state of a socket. It only moves forward.
type State uint8

const (
	Connecting State = iota // the handshake is not complete
	Open
	Closed
)

// String returns the name that the state has in JavaScript.
func (s State) String() string { return [...]string{"connecting", "open", "closed"}[s] }

// AuthState reports whether a socket has a token.
type AuthState uint8

const (
	Unauthenticated AuthState = iota
	Authenticated
)

// String returns the name that the state has in JavaScript.
func (s AuthState) String() string { return [...]string{"unauthenticated", "authenticated"}[s] }

// Socket is one client's connection. A client that reconnects gets a new one.
//
// Its methods are safe for concurrent use, even after it has closed.
type Socket struct {
	srv  *Server
	conn *ws.Conn
	url  *string  // shared by sockets if it is that of most clients
	addr [16]byte // see ClientAddr; a netip.Addr would be larger

	id      socketID
	version wire.Version

	inbox lane.Lane[inboxItem]
	out   outbox.Outbox[cargo]
	timer wheel.Timer

	ledger account.Ledger

	buckets [numRates]bucket.Bucket // server clock; only for the inbox worker, see throttle

	here   bool // the inbox handles a message where it was read; the inbox worker's
	tailed bool // ext.tail is set; the inbox worker's
	prompt bool // what it sends may be handled where it was read, see handleHere

	quick    uint8  // of the reading goroutine: see busyAfter
	lastRead uint32 // of the reading goroutine: see alive

	pushBack  atomic.Uint32 // of the reading goroutine: see pushesBack
	outQueued atomic.Int32  // packets in ext.outbound or on their way from there to out

	ending   atomic.Uint32 // an ending, or 0
	discards atomic.Bool   // waiting messages are dropped once the socket has closed
	lastSeen atomic.Int64  // a moment: when the pong timeout was last restarted

	// Locks, in the order in which they may be taken:
	//
	//  1. subMu, which makes a change of subs and of the hub one step.
	//  2. The locks inside the hub, under which it delivers publications.
	//  3. mu, which guards everything below it that is not atomic, and the Epoch of
	//     each subscription. While mu is held, a change of state queues its events;
	//     drainEvents emits them after mu has been released. The hub must not be
	//     called. A publication is compared with the epoch and pushed into the
	//     outbox under mu, in one step.
	//  4. Server.mu, and below it that of Server.places; that of Server.claims; that inside calls; below it
	//     those inside inbox, raw, outbound, queues, out, ledger and the wheel. They are
	//     leaves: nothing of this package is called while they are held.
	//
	// No lock is held while user code, the broker or the engine runs.
	subMu sync.Mutex

	mu         sync.Mutex
	state      State
	endEmitted bool          // the end event has been emitted
	gone       bool          // the connection and the reading goroutine have ended
	ponged     bool          // the client has answered a ping
	turns      turns         // of the client's loop
	request    *http.Request // until the connect event has been handled; see Config.Compat.KeepRequest
	subs       hub.Set
	ext        *extension

	calls    atomic.Pointer[calls.Table] // written with mu held; nil before the first call to the client
	token    tokenLife                   // its comment states what mu guards
	deadline moment                      // of the handshake, later of the peer's close frame
	nextPing moment
	asked    moment // when the first ping since the last sign of life was sent

	stats socketCounters
}

// extension has the fields that only some sockets need; most are idle and have
// none.
type extension struct {
	listeners  listeners
	events     []Event               // waiting to be emitted
	emitting   bool                  // a goroutine is in drainEvents
	done       chan struct{}         // closed when the socket is
	ended      chan struct{}         // closed after the end event
	raw        lane.Lane[ws.Message] // before inbox, see rawWorker
	outbound   lane.Lane[outboundItem]
	batch      batch
	verdict    *verdict // on a token that the client has sent, until it is answered
	owed       *owed
	loops      loop.Set[queueName, packet]
	queues     map[queueName]*nameQueue
	tail       tail          // the inbox worker's, see handleHere
	tails      []queueName   // names whose tails are being run
	slots      int           // taken by calls in handlers, see Limits.Calls
	slotFreed  chan struct{} // closed when there is a slot again; nil while nobody waits
	options    map[string]subscribeOptions
	suspended  int                 // the number of suspended ones
	joins      map[string]*joining // subscriptions that wait, by channel
	late       int                 // publications that have waited for longer than publishPatience
	publishing int                 // publications in queues
	round      *round              // nil: nothing is being authorized again
	lostIn     uint32              // the last epoch in which lost subscriptions were logged
	withheld   []withheld          // in order
	values     map[any]any
	pingForm   pingForm
	plainAt    moment // when pings become plain unless a pong arrives first; see pingForm
	throttled  bool   // it has been logged; the inbox worker's
}

// extend returns the extension. mu must be held.
func (s *Socket) extend() *extension {
	if s.ext == nil {
		s.ext = &extension{}
	}
	return s.ext
}

// extended is extend for those who do not hold mu.
func (s *Socket) extended() *extension {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.extend()
}

// extension returns the extension, or nil.
func (s *Socket) extension() *extension {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ext
}

// ID returns the ID of the socket, which the client knows too: 20 random
// characters.
func (s *Socket) ID() string { return s.id.String() }

// Server returns the server of the socket.
func (s *Socket) Server() *Server { return s.srv }

// Exchange is the server's own way to publish and subscribe.
func (s *Socket) Exchange() *Exchange { return s.srv.exchange }

// RemoteAddr returns the address of the peer of the TCP connection, which is
// that of a proxy if there is one.
func (s *Socket) RemoteAddr() net.Addr { return s.conn.RemoteAddr() }

// URL returns the path and query with which the client connected.
func (s *Socket) URL() string { return *s.url }

// ProtocolVersion returns the version of the protocol that the socket uses.
func (s *Socket) ProtocolVersion() wire.Version { return s.version }

// Request returns the upgrade request: its method, URL and headers. It returns
// nil once the connect event has been handled, unless Config.Compat.KeepRequest
// is set. Its body must not be used.
func (s *Socket) Request() *http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.request
}

// State returns the state of the socket.
func (s *Socket) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// AuthToken returns the verified token of the socket, or nil. A token is
// immutable; a change of the socket's token replaces it. Use [Claims] to decode
// its claims.
func (s *Socket) AuthToken() *auth.Token { return s.token.Load() }

// AuthState reports whether the socket has a token.
func (s *Socket) AuthState() AuthState { return authStateOf(s.token.Load()) }

func authStateOf(t *auth.Token) AuthState {
	if t == nil {
		return Unauthenticated
	}
	return Authenticated
}

// Claims decodes the claims of the socket's token into a T. ok is false if the
// socket has no token, or if its claims do not fit.
func Claims[T any](s *Socket) (claims T, ok bool) {
	t := s.token.Load()
	if t == nil || t.Claims(&claims) != nil {
		var none T
		return none, false
	}
	return claims, true
}

// Done returns a channel that is closed when the socket is closed.
func (s *Socket) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.doneLocked()
}

func (s *Socket) doneLocked() chan struct{} {
	x := s.extend()
	if x.done == nil {
		x.done = make(chan struct{})
		if s.state == Closed {
			close(x.done)
		}
	}
	return x.done
}

// Context returns a context that ends with the socket. Its error is then
// [context.Canceled].
func (s *Socket) Context() context.Context { return socketContext{s} }

// unending is Context without an end.
func (s *Socket) unending() context.Context { return context.WithoutCancel(s.Context()) }

// socketContext makes contexts without a goroutine or an allocation for each
// socket. Its values are the socket itself and those of the server's context.
type socketContext struct{ s *Socket }

type socketKey struct{}

// FromContext returns the socket for which a handler, middleware or engine is
// running, or nil.
func FromContext(ctx context.Context) *Socket {
	s, _ := ctx.Value(socketKey{}).(*Socket)
	return s
}

func (socketContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (c socketContext) Done() <-chan struct{}     { return c.s.Done() }

func (c socketContext) Err() error {
	if c.s.State() == Closed {
		return context.Canceled
	}
	return nil
}

func (c socketContext) Value(key any) any {
	if key == (socketKey{}) {
		return c.s
	}
	return nil
}

// Subscriptions yields the names of the channels to which the socket is
// subscribed, in no particular order.
func (s *Socket) Subscriptions() iter.Seq[string] {
	s.mu.Lock()
	names := s.subs.Names()
	s.mu.Unlock()
	return func(yield func(string) bool) {
		for _, n := range names {
			if !yield(n) {
				return
			}
		}
	}
}

// IsSubscribed reports whether the socket is subscribed to a channel.
func (s *Socket) IsSubscribed(channel string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.subs.Get(channel) != nil
}

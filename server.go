package socketcluster

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/httpauth"
	"github.com/socketcluster-go/socketcluster/broker/mem"
	"github.com/socketcluster-go/socketcluster/internal/account"
	"github.com/socketcluster-go/socketcluster/internal/admission"
	"github.com/socketcluster-go/socketcluster/internal/hub"
	"github.com/socketcluster-go/socketcluster/internal/outbox"
	"github.com/socketcluster-go/socketcluster/internal/wheel"
	"github.com/socketcluster-go/socketcluster/internal/ws"
	"github.com/socketcluster-go/socketcluster/wire"
)

// Server serves sockets. It is an [http.Handler] for the path in its Config.
// The program that mounts it controls everything else about HTTP.
type Server struct {
	cfg     Config
	origins *httpauth.Origins
	proxies *admission.Proxies
	engine  auth.Engine
	log     *slog.Logger

	hub         *hub.Hub
	wheel       *wheel.Wheel
	poller      *ws.Poller
	exchange    *Exchange
	epoch       time.Time // the origin of the server clock
	rates       [numRates]rate
	outbox      outbox.Limits
	watch       *watch
	crowd       crowd
	places      *admission.Places
	hits        limitHits
	counters    counters
	budget      *account.Budget
	shedding    atomic.Bool   // a goroutine is in shed
	revocations atomic.Uint64 // how many there have been, see revoked

	edits       edits // of claims
	claims      claimIndex
	lastSigning atomic.Int64 // see signingTime
	renewals    renewals

	mounting mounting
	faults   seldom // bounds the log of clients' mistakes

	listeners  listeners
	middleware middlewares
	handlers   handlers
	pings      [wire.Version2 + 1][]byte // as frames, by version
	coded      codedPing                 // those of version 1 in the form of the codec

	mu      sync.Mutex
	sockets map[socketID]*Socket // whose state is not Closed
	open    int                  // the number of those that have completed the handshake
	traffic traffic              // of sockets that have ended
	closing map[*Socket]struct{} // closed: waiting for the peer's close frame
	reading sync.WaitGroup       // one for each connection
	orphans map[*Socket]struct{} // closed: handlers still hold some of their messages
	closed  bool

	compressed atomic.Int64 // connections whose clients understand compressed messages

	unwatch func() // ends the watch of Config.Revocations
	ctx     context.Context
	cancel  context.CancelFunc // ends ctx, and with it the loops over events and channels
	down    atomic.Bool        // the broker is closed, or about to be
}

// New makes a server. The error is a *[ConfigError] or an *[auth.OptionError]
// and names the field that cannot be used.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	engine, err := cfg.engine()
	if err != nil {
		return nil, err
	}
	origins, err := httpauth.ParseOrigins(cfg.Origins...)
	if err != nil {
		return nil, &ConfigError{Field: "Origins", Reason: err.Error(), Err: err}
	}
	proxies, err := admission.ParseProxies(cfg.TrustedProxies...)
	if err != nil {
		return nil, &ConfigError{Field: "TrustedProxies", Reason: err.Error(), Err: err}
	}
	srv := &Server{
		cfg:     cfg,
		origins: origins,
		proxies: proxies,
		engine:  engine,
		log:     cfg.Logger,
		hub:     hub.New(),
		wheel:   wheel.New(),
		poller:  ws.NewPoller(cfg.Logger),
		epoch:   time.Now().Add(-1), // so that no moment is zero
		rates:   newRates(&cfg.Limits),
		outbox:  outbox.Limits{Bytes: cfg.Limits.Outbox, Stall: cfg.Limits.OutboxStall, Drain: cfg.Limits.OutboxDrain, Crew: new(outbox.Crew)},
		places: admission.NewPlaces(admission.Limits{
			Connections: cfg.Limits.Connections,
			Pending:     cfg.Limits.PendingHandshakes,
			PerAddress:  cfg.Limits.ConnectionsPerAddress,
		}),
		claims:  newClaimIndex(),
		sockets: make(map[socketID]*Socket),
		closing: make(map[*Socket]struct{}),
		orphans: make(map[*Socket]struct{}),
	}
	srv.watch = newWatch(srv.outbox.Crew)
	srv.ctx, srv.cancel = context.WithCancel(context.Background())
	srv.budget = account.NewBudget(int64(cfg.Limits.Budget), srv.overBudget)
	for _, v := range []wire.Version{wire.Version1, wire.Version2} {
		srv.pings[v] = ws.Seal(append(ws.NewBuffer(2), v.Ping()...), ws.OpText)
	}
	srv.coded = srv.newCodedPing()
	if srv.cfg.Broker == nil {
		srv.cfg.Broker = &mem.Broker{}
	}
	srv.exchange = newExchange(srv)
	if err := srv.cfg.Broker.Start(context.Background(), (*sink)(srv.exchange)); err != nil {
		return nil, err
	}
	if store := srv.cfg.Revocations; store != nil {
		srv.unwatch = store.Watch(srv.revoked)
	}
	return srv, nil
}

// Auth returns the engine that signs and verifies tokens, for logins over HTTP.
func (srv *Server) Auth() auth.Engine { return srv.engine }

// Exchange returns the exchange, by which the server itself publishes and
// subscribes.
func (srv *Server) Exchange() *Exchange { return srv.exchange }

// Context returns a context that ends when the server has shut down or was
// closed. It is for work that continues after its socket has gone, such as a
// publication from the handler of a [DisconnectEvent].
func (srv *Server) Context() context.Context { return srv.ctx }

// Clients yields the sockets that have completed their handshake, as they are
// at the time of the call.
func (srv *Server) Clients() iter.Seq[*Socket] { return srv.socketsIn(Open) }

// PendingClients yields the sockets that have not completed their handshake.
func (srv *Server) PendingClients() iter.Seq[*Socket] { return srv.socketsIn(Connecting) }

func (srv *Server) socketsIn(state State) iter.Seq[*Socket] {
	all := srv.snapshot()
	return func(yield func(*Socket) bool) {
		for _, s := range all {
			if s.State() == state && !yield(s) {
				return
			}
		}
	}
}

func (srv *Server) snapshot() []*Socket {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return slices.Collect(maps.Values(srv.sockets))
}

// everySocket is snapshot, plus the sockets that are being closed.
func (srv *Server) everySocket() []*Socket {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.allLocked()
}

// closedOrigins returns the sockets that are being closed, and those whose connections
// have ended while handlers still hold some of their messages.
func (srv *Server) closedOrigins() []*Socket {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	all := slices.Collect(maps.Keys(srv.closing))
	for s := range srv.orphans {
		if _, closing := srv.closing[s]; !closing {
			all = append(all, s)
		}
	}
	return all
}

func (srv *Server) allLocked() []*Socket {
	return slices.AppendSeq(slices.Collect(maps.Values(srv.sockets)), maps.Keys(srv.closing))
}

// Client returns the socket with an ID, or nil if there is none or it has not
// completed its handshake.
func (srv *Server) Client(id string) *Socket {
	key, ok := parseSocketID(id)
	if !ok {
		return nil
	}
	srv.mu.Lock()
	s := srv.sockets[key]
	srv.mu.Unlock()
	if s == nil || s.State() != Open {
		return nil
	}
	return s
}

// NumClients returns the number of sockets that have completed their handshake.
func (srv *Server) NumClients() int {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.open
}

// NumPendingClients returns the number of sockets that have not completed their
// handshake.
func (srv *Server) NumPendingClients() int {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return len(srv.sockets) - srv.open
}

// register adds a pending socket. It returns false if the server is closed.
func (srv *Server) register(s *Socket) bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.closed {
		return false
	}
	srv.sockets[s.id] = s
	srv.counters.accepted.Add(1)
	srv.reading.Add(1)
	if s.conn.Compressed() {
		srv.compressed.Add(1)
	}
	return true
}

// opened counts a socket as a client. It is called with the socket's mu held,
// so that the counts agree with the states.
func (srv *Server) opened() {
	srv.mu.Lock()
	srv.open++
	srv.mu.Unlock()
	srv.places.Settle()
}

// unregister counts a socket as closed; its connection lingers until
// released. It is called with the socket's mu held.
func (srv *Server) unregister(s *Socket, was State) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	delete(srv.sockets, s.id)
	srv.closing[s] = struct{}{}
	if was == Open {
		srv.open--
	} else {
		srv.places.Settle()
	}
}

// released records that the connection of a closed socket has ended.
func (srv *Server) released(s *Socket) {
	srv.mu.Lock()
	delete(srv.closing, s)
	srv.traffic.add(s)
	srv.mu.Unlock()
	if s.conn.Compressed() {
		srv.compressed.Add(-1)
	}
	srv.places.Leave(s.ClientAddr())
	srv.reading.Done()
}

// Shutdown stops accepting connections and closes the existing ones with 1001,
// after which stock clients connect again, to another server behind the same
// address. Many connections are closed in batches, at Config.DrainRate, or
// faster if the deadline of ctx is near: the last ones have
// Config.Timeouts.Close and a tenth of the time to leave, or half of the time
// if that is less. Until its turn, a client is served as before. Then it is
// closed as soon as all that has arrived from it is handled and answered, but
// for calls that handlers have detached; a client that always has something open
// is served for Config.Timeouts.Close more, or half of the time, and then nothing
// more is taken from it. Calls that are still open when the last clients must
// leave fail; without a deadline, Shutdown waits for them. Everything that has
// been sent to a client is delivered first.
//
// It returns when all connections have ended and their events have been
// handled. If ctx ends first, it drops the remaining connections and returns
// the error of ctx. An event handler must not call it, because it waits for
// event handlers.
func (srv *Server) Shutdown(ctx context.Context) error {
	if !srv.stop() {
		return ErrServerClosed
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		srv.drain(ctx)
		srv.reading.Wait()
	}()
	var late error
	select {
	case <-gone:
	case <-ctx.Done():
		late = ctx.Err()
		srv.drop()
	}
	return errors.Join(late, srv.release())
}

// forEachSocket ends sockets concurrently, because their event handlers may
// block.
func (srv *Server) forEachSocket(end func(*Socket)) {
	var all sync.WaitGroup
	for _, s := range srv.snapshot() {
		all.Go(func() { end(s) })
	}
	all.Wait()
}

// drop cuts all connections, including those that linger.
func (srv *Server) drop() {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	for _, s := range srv.sockets {
		s.conn.Close()
	}
	for s := range srv.closing {
		s.conn.Close()
	}
}

// Close drops all connections at once, and ends the loops over the server's
// events. If Shutdown is waiting, this ends its wait. An event handler must not
// call Close, because it waits for event handlers.
func (srv *Server) Close() error {
	first := srv.stop()
	srv.cancel()
	srv.drop()
	srv.forEachSocket((*Socket).Terminate)
	if !first {
		return ErrServerClosed
	}
	srv.reading.Wait()
	return srv.release()
}

// stop refuses new connections. It returns false if that was done before.
func (srv *Server) stop() bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.closed {
		return false
	}
	srv.closed = true
	return true
}

func (srv *Server) release() error {
	srv.cancel()
	srv.down.Store(true)
	srv.wheel.Close()
	_ = srv.poller.Close()
	if srv.unwatch != nil {
		srv.unwatch()
	}
	return srv.cfg.Broker.Close()
}

// isClosed reports whether the server refuses new connections.
func (srv *Server) isClosed() bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.closed
}

// addListener implements [Emitter].
func (srv *Server) addListener(k eventKind, fn func(Event)) (remove func()) {
	return srv.listeners[k].Add(fn)
}

// emitterDone implements [Emitter].
func (srv *Server) emitterDone() <-chan struct{} { return srv.ctx.Done() }

// emits implements [Emitter].
func (srv *Server) emits(k eventKind) bool { return serverHears[k] }

// emitError emits an error of a socket, or one without a socket.
func (srv *Server) emitError(s *Socket, err error) {
	if s != nil {
		s.emitError(err)
		return
	}
	srv.listeners.call(WarningEvent{nil, err}, srv.log)
}

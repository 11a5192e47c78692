package simulation_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/broker/mem"
	"github.com/socketcluster-go/socketcluster/wire"
)

// work is the data of what the clients of an interleaving send: a number, and
// how long it takes whoever handles it.
type work struct {
	N    int    `json:"n"`
	MS   int    `json:"ms,omitempty"`
	From string `json:"from,omitempty"` // of publications
}

// outcomes are what the procedures of an interleaving answer with: a number,
// or an error of this name.
var outcomes = map[string]string{
	"first": "", "second": "", "wide": "", "looped": "", "asks": "", "twice": "",
	"fails": "TestError", "panics": "InternalError", "typed": "InvalidArgumentsError",
	"nobody": "UnknownProcedureError",
}

// tells reports whether a procedure sends a "told" before its answer.
func tells(name string) bool { return name == "first" || name == "second" || name == "wide" }

// width is how many calls of a procedure, or transmissions to a receiver, may
// be handled at a time.
func width(name string) int {
	switch name {
	case "wide", "crowd":
		return 3
	}
	return 1
}

// ledger is what middleware and handlers have seen of one socket.
type ledger struct {
	mu      sync.Mutex
	arrived []int            // what the inbound middleware was asked about, in order
	begun   map[string][]int // by procedure and receiver
	running map[string]int
	changes int // of the token
	faults  []string
}

// ledgerKey is where a socket has its ledger.
var ledgerKey socketcluster.Key[*ledger]

func ledgerOf(s *socketcluster.Socket) *ledger {
	l, _ := ledgerKey.Get(s)
	return l
}

// begin notes that something begins of which width may go on at a time.
func (l *ledger) begin(name string, width int) (end func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running[name]++
	if l.running[name] > width {
		l.faults = append(l.faults, fmt.Sprintf("%d of %s at a time", l.running[name], name))
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.running[name]--
	}
}

// arrives notes a number, and reports whether it is a new one: when the token has
// changed, middleware is asked about things again, beside what comes.
func (l *ledger) arrives(n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n == 0 || slices.Contains(l.arrived, n) {
		return false
	}
	l.arrived = append(l.arrived, n)
	return true
}

// changed counts a change of the token.
func (l *ledger) changed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changes++
}

// changesSoFar returns how often the token has changed.
func (l *ledger) changesSoFar() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changes
}

func (l *ledger) fault(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = append(l.faults, fmt.Sprintf(format, args...))
}

// staff is the server's side of an interleaving.
type staff struct {
	srv  *socketcluster.Server
	busy atomic.Int32 // middleware and handlers that take their time, and calls of clients
}

func (st *staff) takeTime(ms int) {
	st.busy.Add(1)
	defer st.busy.Add(-1)
	time.Sleep(time.Duration(ms) * time.Millisecond)
}

// ask calls the client, which answers with the number.
func (st *staff) ask(ctx context.Context, s *socketcluster.Socket, n int) (int, error) {
	st.busy.Add(1)
	defer st.busy.Add(-1)
	return socketcluster.InvokeAs[int](ctx, s, "ask", n)
}

// handle is what all handlers do.
func (st *staff) handle(s *socketcluster.Socket, name string, in work) {
	l := ledgerOf(s)
	defer l.begin(name, width(name))()
	l.mu.Lock()
	l.begun[name] = append(l.begun[name], in.N)
	l.mu.Unlock()
	st.takeTime(in.MS)
}

// serve registers middleware and handlers.
func (st *staff) serve(outbound bool) {
	socketcluster.On(st.srv, func(e socketcluster.HandshakeEvent) {
		ledgerKey.Set(e.Socket, &ledger{begun: map[string][]int{}, running: map[string]int{}})
	})
	socketcluster.On(st.srv, func(e socketcluster.ConnectEvent) {
		calls := e.Socket.Procedure("looped").All()
		go func() {
			for c := range calls {
				in := parseWork(c.Data)
				st.handle(e.Socket, "looped", in)
				c.Reply(in.N)
			}
		}()
	})
	socketcluster.On(st.srv, func(e socketcluster.SubscribeEvent) {
		var options struct{ Data work }
		json.Unmarshal(e.Options, &options)
		if kickedAtOnce(options.Data.N) {
			e.Socket.KickOut(context.Background(), e.Channel, "at once")
		}
	})
	socketcluster.On(st.srv, func(e socketcluster.AuthenticateEvent) { ledgerOf(e.Socket).changed() })
	socketcluster.On(st.srv, func(e socketcluster.DeauthenticateEvent) { ledgerOf(e.Socket).changed() })
	st.srv.UseInbound(st.inbound)
	if outbound {
		socketcluster.Use(st.srv, func(_ context.Context, a *socketcluster.PublishOut) error {
			defer ledgerOf(a.Socket).begin("the outbound middleware", 1)()
			st.takeTime(parseWork(a.Data).MS)
			return nil
		})
	}
	for _, name := range []string{"note", "memo", "crowd"} {
		st.srv.Receive(name, socketcluster.Recv(func(ctx context.Context, in work) error {
			st.handle(socketcluster.FromContext(ctx), name, in)
			return nil
		}), socketcluster.Concurrent(width(name)))
	}
	for _, name := range []string{"first", "second", "wide"} {
		st.procedure(name, func(ctx context.Context, in work) (int, error) {
			// The event comes before the answer.
			return in.N, socketcluster.FromContext(ctx).Transmit(ctx, "told", in.N)
		})
	}
	st.procedure("asks", func(ctx context.Context, in work) (int, error) {
		return st.ask(ctx, socketcluster.FromContext(ctx), in.N)
	})
	st.srv.Handle("twice", socketcluster.HandlerFunc(func(_ context.Context, c *socketcluster.Call) (any, error) {
		var in work
		if err := json.Unmarshal(c.Data, &in); err != nil {
			return nil, err
		}
		st.handle(c.Socket, "twice", in)
		c.Reply(in.N)
		if c.Reply(in.N) == nil || c.Fail(errors.New("late")) == nil {
			ledgerOf(c.Socket).fault("%d was answered again", in.N)
		}
		return nil, errors.New("later still")
	}), socketcluster.Concurrent(width("twice")))
	st.procedure("fails", func(context.Context, work) (int, error) {
		return 0, &wire.Error{Name: "TestError", Message: "no"}
	})
	st.procedure("panics", func(context.Context, work) (int, error) { panic("of a handler") })
	st.srv.Handle("typed", socketcluster.Func(func(context.Context, string) (int, error) { return 0, nil }))
	st.srv.Handle("login", socketcluster.Func(func(ctx context.Context, in claims) (string, error) {
		s := socketcluster.FromContext(ctx)
		err := s.SetAuthToken(ctx, in, in.expiry())
		return s.AuthToken().Signed(), err
	}))
}

func (st *staff) procedure(name string, fn func(context.Context, work) (int, error)) {
	st.srv.Handle(name, socketcluster.Func(func(ctx context.Context, in work) (int, error) {
		st.handle(socketcluster.FromContext(ctx), name, in)
		return fn(ctx, in)
	}), socketcluster.Concurrent(width(name)))
}

// claims are those of all tokens of an interleaving.
type claims struct {
	Seq     int   `json:"seq"`
	Q       bool  `json:"q"`       // may subscribe to q
	Blocked bool  `json:"blocked"` // by middleware, unless the server itself has set it
	MS      int   `json:"ms"`      // that middleware takes
	Life    int   `json:"life"`    // seconds
	Exp     int64 `json:"exp,omitempty"`
}

func (c claims) expiry() auth.SignOption { return auth.ExpiresIn(time.Duration(c.Life) * time.Second) }

// expires returns the moment in which a token of these claims counts as expired.
func (c claims) expires() time.Time { return time.Unix(c.Exp, 0).Add(time.Millisecond) }

// longLife is that of tokens which do not expire during an interleaving.
const longLife = 24 * 3600

// mayJoin is the rule for subscriptions: p needs a token, q a claim too. token
// is nil without one.
func mayJoin(channel string, token *claims) bool {
	switch channel {
	case "p":
		return token != nil
	case "q":
		return token != nil && token.Q
	}
	return true
}

// inbound is the middleware: it notes what it is asked, takes its time, and
// keeps to mayJoin.
func (st *staff) inbound(_ context.Context, a socketcluster.Action) error {
	switch a := a.(type) {
	case *socketcluster.Invoke:
		st.look(a.Socket, a.Data)
	case *socketcluster.Transmit:
		st.look(a.Socket, a.Data)
	case *socketcluster.PublishIn:
		st.look(a.Socket, a.Data)
		if a.Channel == "forbidden" {
			return &wire.Error{Name: "TestError", Message: "no"}
		}
	case *socketcluster.Subscribe:
		data := a.Data
		if a.Again {
			data = nil // known already
		}
		var token *claims
		if c, ok := socketcluster.Claims[claims](a.Socket); ok {
			token = &c
		}
		st.look(a.Socket, data) // and the token may change meanwhile
		if !mayJoin(a.Channel, token) {
			return &wire.Error{Name: "TestError", Message: "no"}
		}
	case *socketcluster.Authenticate:
		defer ledgerOf(a.Socket).begin("the inbound middleware", 1)()
		var c claims
		if err := a.AuthToken.Claims(&c); err != nil {
			return err
		}
		st.takeTime(c.MS)
		if c.Blocked {
			return &wire.Error{Name: "TestError", Message: "no"}
		}
	}
	return nil
}

func (st *staff) look(s *socketcluster.Socket, data json.RawMessage) {
	l := ledgerOf(s)
	in := parseWork(data)
	if l.arrives(in.N) {
		defer l.begin("the inbound middleware", 1)()
	}
	// Half of the time is the middleware's, and handlers take the whole.
	st.takeTime(in.MS / 2)
}

// parseWork reads data that may be none.
func parseWork(data json.RawMessage) (in work) {
	json.Unmarshal(data, &in)
	return in
}

// kickedAtOnce reports whether the event of a subscription with this number gets
// its client kicked out.
func kickedAtOnce(n int) bool { return n%8 == 7 }

// routedBroker wants to know which channels the server is subscribed to, and
// carries no others.
type routedBroker struct {
	mem.Broker
	staff *staff
	mu    sync.Mutex
	on    map[string]bool
}

// Publish implements broker.Broker.
func (b *routedBroker) Publish(ctx context.Context, channel string, data []byte) error {
	b.mu.Lock()
	on := b.on[channel]
	b.mu.Unlock()
	if !on {
		return nil
	}
	b.staff.takeTime(parseWork(data).MS)
	return b.Broker.Publish(ctx, channel, data)
}

// Subscribe implements broker.Broker.
func (b *routedBroker) Subscribe(_ context.Context, channel string) error {
	return b.set(channel, true)
}

// Unsubscribe implements broker.Broker.
func (b *routedBroker) Unsubscribe(_ context.Context, channel string) error {
	return b.set(channel, false)
}

// set takes a while, but none of the bubble's time: the server holds a lock.
func (b *routedBroker) set(channel string, on bool) error {
	runtime.Gosched()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.on[channel] == on {
		panic(fmt.Sprintf("%s: on %t twice", channel, on))
	}
	b.on[channel] = on
	return nil
}

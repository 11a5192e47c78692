package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/internal/claimscan"
	"github.com/socketcluster-go/socketcluster/internal/millis"
	"github.com/socketcluster-go/socketcluster/internal/presence"
)

// DefaultDebounce is the default of [PresenceOptions].Debounce.
const DefaultDebounce = 2 * time.Second

// PresenceOptions of a [Presence]. The zero value keeps presence of all users by
// the claim Options.UserClaim. No lock is held while a function of it runs. All nodes
// need the same options.
type PresenceOptions struct {
	// Channels reports whether a channel has presence. It must always decide
	// in the same way. Default: all channels have.
	Channels func(channel string) bool

	// User returns the name of the user of a socket, or "" for a socket that is
	// not to be seen. It is asked when the socket subscribes, and again whenever
	// its token changes. Default: the claim of its token that [Options].UserClaim
	// says, a text or a whole number.
	User func(s *socketcluster.Socket) string

	// Info returns what others see of a socket in a channel besides the user:
	// data as for Socket.Transmit, or nil. It is asked together with User.
	// Channel, user and info may have 16 KiB; a socket with more is not seen, and
	// an error is logged. Default: nothing.
	Info func(s *socketcluster.Socket, channel string) any

	// May reports by nil whether a socket may see who is in a channel. The
	// client gets the error as from middleware. With package rules, it is
	// rules.Set.MaySee. Default: those who are subscribed to the channel may.
	May func(ctx context.Context, s *socketcluster.Socket, channel string) error

	// Debounce is the time for which a user must have no socket in a channel to
	// have left it. Default: [DefaultDebounce].
	Debounce time.Duration

	// OnLeave is called once a user has left a channel, on one of the nodes that
	// are alive, whichever the user was on. See [Leave] for what that promises.
	// Several calls run at the same time. ctx ends when the node is closed.
	// Default: none.
	OnLeave func(ctx context.Context, l Leave)
}

// PresenceEvent is a publication on a [socketcluster.PresenceChannel].
type PresenceEvent struct {
	Type string          `json:"type"` // "join" or "leave"
	User string          `json:"user"`
	Info json.RawMessage `json:"info,omitempty"` // of the latest of the user's sockets
}

// Presence knows who is in which channel, on all nodes. Its methods are safe for
// concurrent use, and do not block.
type Presence struct {
	node *Node
	srv  *socketcluster.Server
	sink broker.Sink
	o    PresenceOptions

	in     chan *nats.Msg
	kick   chan struct{} // there is something to do for run
	stop   chan struct{}
	over   sync.WaitGroup
	runner hookRunner

	mu    sync.Mutex
	state *presence.State
	subs  []*nats.Subscription
	ended bool
}

// presenceQueue is how many messages of other nodes may wait. NATS drops what
// does not fit, and the node asks for a snapshot.
const presenceQueue = 4096

// NewPresence begins to keep presence for a server, which must have the broker of
// the node and no clients yet. It ends with the node. A node has one presence.
//
// It adds inbound middleware to the server, which refuses publications of clients
// on channels of presence, and subscriptions to them without the right to see who
// is there. The application's middleware decides on these subscriptions too.
func NewPresence(node *Node, srv *socketcluster.Server, o PresenceOptions) (*Presence, error) {
	if why := millis.Reason(o.Debounce); why != "" {
		return nil, fmt.Errorf("cluster: PresenceOptions.Debounce %s", why)
	}
	if o.Debounce < 0 {
		return nil, fmt.Errorf("cluster: PresenceOptions.Debounce is %v; it must not be negative", o.Debounce)
	}
	o.Debounce = cmp.Or(o.Debounce, DefaultDebounce)
	if o.User == nil {
		o.User = node.userOf
	}
	sink := node.channels.getSink()
	switch {
	case sink == nil:
		return nil, errors.New("cluster: NewPresence needs a server whose Config.Broker is that of the node")
	case srv.NumClients()+srv.NumPendingClients() > 0:
		return nil, errors.New("cluster: NewPresence needs a server that has no clients yet")
	}
	p := &Presence{
		node: node, srv: srv, sink: sink, o: o,
		in: make(chan *nats.Msg, presenceQueue), kick: make(chan struct{}, 1), stop: make(chan struct{}),
		state: presence.New(presence.Options{
			Node: node.o.Name, Instance: node.members.instance, Debounce: o.Debounce, Hooks: o.OnLeave != nil, Beat: beat, Lifespan: lifespan,
		}),
	}
	p.runner.init(p)
	if !node.presence.CompareAndSwap(nil, p) {
		return nil, errors.New("cluster: the node has a presence already")
	}
	if err := p.begin(); err != nil {
		node.presence.CompareAndSwap(p, nil)
		return nil, err
	}
	p.listen()
	return p, nil
}

// userOf is the default of PresenceOptions.User.
func (n *Node) userOf(s *socketcluster.Socket) string {
	token := s.AuthToken()
	if token == nil {
		return ""
	}
	name, _ := claimscan.TextOfMember(token.Payload(), n.o.UserClaim)
	return name
}

// has reports whether a channel has presence.
func (p *Presence) has(channel string) bool {
	_, of := socketcluster.PresenceOf(channel)
	return !of && (p.o.Channels == nil || p.o.Channels(channel))
}

// listen follows the sockets of the server.
func (p *Presence) listen() {
	again := func(s *socketcluster.Socket) {
		for channel := range s.Subscriptions() {
			p.look(s, channel)
		}
	}
	socketcluster.On(p.srv, func(e socketcluster.SubscribeEvent) {
		p.look(e.Socket, e.Channel)
		if channel, ok := socketcluster.PresenceOf(e.Channel); ok {
			p.endSight(e.Socket, channel) // it may have left the channel since middleware was asked
		}
	})
	socketcluster.On(p.srv, func(e socketcluster.AuthenticateEvent) { again(e.Socket) })
	socketcluster.On(p.srv, func(e socketcluster.DeauthenticateEvent) { again(e.Socket) })
	socketcluster.On(p.srv, func(e socketcluster.UnsubscribeEvent) { p.left(e.Socket, e.Channel) })
	p.srv.UseInbound(p.decide)
}

// look makes the row of a subscribed socket what it should be. The events of a
// socket are handled one at a time, in their order, so the last one leaves the
// latest row.
func (p *Presence) look(s *socketcluster.Socket, channel string) {
	if !p.has(channel) {
		return
	}
	r := presence.Row{Key: presence.Key{Channel: channel, Socket: s.ID()}, User: p.o.User(s)}
	if r.User != "" && p.o.Info != nil {
		r.Info = p.encode(p.o.Info(s, channel))
	}
	if size := len(channel) + len(r.User) + len(r.Info); size > presence.MaxRow {
		p.node.o.Logger.Error("cluster: a socket is not seen in a channel: channel, user and info are too large",
			slog.String("socket", s.ID()), slog.Int("bytes", size), slog.Int("limit", presence.MaxRow))
		r.User = ""
	}
	p.mu.Lock()
	if r.User != "" {
		p.state.Enter(r, time.Now())
	} else {
		p.state.Exit(r.Key, time.Now())
	}
	p.mu.Unlock()
	wake(p.kick)
}

// left removes the row of a socket that has left a channel.
func (p *Presence) left(s *socketcluster.Socket, channel string) {
	if !p.has(channel) {
		return
	}
	p.mu.Lock()
	p.state.Exit(presence.Key{Channel: channel, Socket: s.ID()}, time.Now())
	p.mu.Unlock()
	wake(p.kick)
	p.endSight(s, channel)
}

// endSight removes a socket from the channel of joins and leaves if its right to
// that has ended with its own subscription.
func (p *Presence) endSight(s *socketcluster.Socket, channel string) {
	if to := socketcluster.PresenceChannel(channel); p.o.May == nil && !s.IsSubscribed(channel) && s.IsSubscribed(to) {
		_ = s.KickOut(s.Context(), to, nil) // fails if it has left meanwhile
	}
}

// encode returns JSON of what Info has returned, or nil.
func (p *Presence) encode(info any) json.RawMessage {
	if info == nil {
		return nil
	}
	text, err := json.Marshal(info)
	if err != nil {
		p.node.o.Logger.Error("cluster: the info of a socket is no JSON", slog.Any("error", err))
		return nil
	}
	return text
}

// decide is the middleware of presence.
func (p *Presence) decide(ctx context.Context, a socketcluster.Action) error {
	switch a := a.(type) {
	case *socketcluster.Subscribe:
		if channel, ok := socketcluster.PresenceOf(a.Channel); ok {
			return p.may(ctx, a.Socket, channel)
		}
	case *socketcluster.PublishIn:
		if _, of := socketcluster.PresenceOf(a.Channel); of {
			return socketcluster.Errorf("PresenceError", "Only the server publishes joins and leaves")
		}
	}
	return nil
}

// may reports by nil whether a socket may see who is in a channel.
func (p *Presence) may(ctx context.Context, s *socketcluster.Socket, channel string) error {
	switch {
	case !p.has(channel):
		return socketcluster.Errorf("PresenceError", "The channel has no presence")
	case p.o.May != nil:
		return p.o.May(ctx, s, channel)
	case !s.IsSubscribed(channel):
		return socketcluster.Errorf("PresenceError", "Subscribe to the channel to see who is there")
	}
	return nil
}

// Present is a user in a channel.
type Present struct {
	User    string
	Sockets []PresentSocket // in the order in which this node heard of them; none while the user may come back within the debounce
	Info    json.RawMessage // of the latest of the sockets; nil if there was none
}

// PresentSocket is a socket of a user.
type PresentSocket struct {
	ID, Node string
	Info     json.RawMessage
}

// Leave is a user who has left a channel: the user has had no socket in it, on
// any node, for the time of PresenceOptions.Debounce.
//
// PresenceOptions.OnLeave is called at least once for each leave that a node has
// seen which stays alive, usually exactly once, within some milliseconds of the
// leave. Which node calls it is derived from the names in the leave and the nodes
// that are alive. If that node has died, or did not know of the user, another one
// calls it some seconds later. It is called twice if the node dies while it runs
// the hook, and if nodes do not hear each other, or late: each side of a cluster that is
// cut in two sees the users of the other side leave. It is not called if all
// nodes end at the same time. So a hook must bear to be called twice, and to be
// called for a user who has come back since.
type Leave struct {
	Channel, User string
	Info          json.RawMessage // of the latest of the user's sockets; nil if there was none
}

// stats returns figures of presence.
func (p *Presence) stats() (s PresenceStats) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for channel := range p.state.Channels() {
		s.Channels++
		s.Users += p.state.NumUsers(channel)
	}
	s.Sockets = p.state.NumRows()
	return s
}

// Here returns the users in a channel, sorted by name.
func (p *Presence) Here(channel string) []Present {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]Present, 0, p.state.NumUsers(channel))
	for name, user := range p.state.Users(channel) {
		all = append(all, present(name, user))
	}
	slices.SortFunc(all, func(a, b Present) int { return strings.Compare(a.User, b.User) })
	return all
}

func present(name string, user *presence.User) Present {
	sockets := make([]PresentSocket, len(user.Sockets))
	for i, s := range user.Sockets {
		sockets[i] = PresentSocket{s.ID, s.Node, s.Info}
	}
	return Present{name, sockets, user.Info}
}

// User returns a user in a channel. ok is false if the user is not there.
func (p *Presence) User(channel, user string) (u Present, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if found := p.state.User(channel, user); found != nil {
		return present(user, found), true
	}
	return u, false
}

// NumUsers returns the number of users in a channel.
func (p *Presence) NumUsers(channel string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state.NumUsers(channel)
}

// Channels yields the channels with users, in no particular order.
func (p *Presence) Channels() iter.Seq[string] {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Values(slices.Collect(p.state.Channels()))
}

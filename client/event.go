package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/guard"
	"github.com/socketcluster-go/socketcluster/internal/loop"
	"github.com/socketcluster-go/socketcluster/internal/registry"
	"github.com/socketcluster-go/socketcluster/wire"
)

// An Event is one of the event types of this package.
type Event interface {
	kind() eventKind
}

// On calls fn for every event of type E that the client emits from now on. The
// returned function ends this.
//
// Handlers run one at a time, in the order in which the state of the client
// changed. A handler that blocks delays the events after it. It may call every
// method of the client; an event that it causes itself is handled after the
// handler has returned.
func On[E Event](c *Client, fn func(E)) (off func()) {
	var zero E
	if any(zero) == nil {
		panic("client: On: name the type of one event, not Event")
	}
	mustCall(fmt.Sprintf("the handler of %T", zero), fn)
	return c.listeners[zero.kind()].Add(func(e Event) { fn(e.(E)) })
}

// Events returns the events of type E as a sequence for a for loop. The
// sequence contains the events since the call of Events, not since the start of
// the loop. The loop ends when ctx does, and after [Client.Close], when the last
// event has been read. The sequence can be looped over once.
//
// Events wait for the loop in a short queue. When the queue is full, further
// events of the client wait too. A loop that never begins does the same, until
// ctx ends.
func Events[E Event](ctx context.Context, c *Client) iter.Seq[E] {
	return loop.Events(ctx, c.finished, func(fn func(E)) (off func()) { return On(c, fn) })
}

type eventKind uint8

const (
	kindConnecting eventKind = iota
	kindConnect
	kindConnectAbort
	kindDisconnect
	kindClose
	kindError
	kindMessage
	kindRaw
	kindSubscribe
	kindSubscribeFail
	kindSubscribeRequest
	kindSubscribeStateChange
	kindUnsubscribe
	kindKickOut
	kindLost
	kindAuthenticate
	kindDeauthenticate
	kindAuthStateChange
	kindRemoveAuthToken
	numEventKinds
)

// The events of a client.
type (
	// ConnectingEvent: the client begins to connect.
	ConnectingEvent struct{ Client *Client }

	// ConnectEvent: the handshake is complete. Subscriptions have been requested
	// before.
	ConnectEvent struct {
		Client          *Client
		ID              string // of the connection
		PingTimeout     time.Duration
		IsAuthenticated bool
		AuthError       error  // why the server has not accepted the token, if the client sent one
		SignedAuthToken string // that the client sent
	}

	// ConnectAbortEvent: an attempt to connect has failed.
	ConnectAbortEvent struct {
		Client *Client
		Code   wire.CloseCode
		Reason string
	}

	// DisconnectEvent: a connection whose handshake was complete has ended.
	DisconnectEvent struct {
		Client *Client
		Code   wire.CloseCode
		Reason string
	}

	// CloseEvent follows ConnectAbortEvent and DisconnectEvent.
	CloseEvent struct {
		Client *Client
		Code   wire.CloseCode
		Reason string
	}

	// ErrorEvent: something went wrong that no caller waits for.
	ErrorEvent struct {
		Client *Client
		Err    error
	}

	// MessageEvent: a message has been received, pings included.
	MessageEvent struct {
		Client *Client
		Binary bool
		Data   []byte
	}

	// RawEvent: a message has been received that is not a packet of the
	// protocol; also a binary one, if there is no Codec. A batch causes one for each
	// element that is none, with the whole message, which they share.
	RawEvent struct {
		Client *Client
		Binary bool
		Data   []byte
	}

	// SubscribeRequestEvent: the client has asked the server for a channel.
	SubscribeRequestEvent struct {
		Client  *Client
		Channel string
	}

	// SubscribeEvent: the server has subscribed the client to a channel.
	SubscribeEvent struct {
		Client  *Client
		Channel string
	}

	// SubscribeFailEvent: the server has refused a subscription.
	SubscribeFailEvent struct {
		Client  *Client
		Channel string
		Err     error
	}

	// UnsubscribeEvent: the client has left a channel, or lost the connection,
	// or was kicked out.
	UnsubscribeEvent struct {
		Client  *Client
		Channel string
	}

	// SubscribeStateChangeEvent comes before SubscribeEvent and
	// UnsubscribeEvent.
	SubscribeStateChangeEvent struct {
		Client          *Client
		Channel         string
		OldChannelState ChannelState
		NewChannelState ChannelState
	}

	// KickOutEvent: the server has ended a subscription.
	KickOutEvent struct {
		Client  *Client
		Channel string
		Message json.RawMessage // nil if there is none
	}

	// LostEvent: the client is subscribed to a channel, and publications will not
	// come. From and To are the numbers of the first and the last of them, both 0 if
	// it is not known what is lost.
	LostEvent struct {
		Client   *Client
		Channel  string
		From, To uint64
		Position string // where the channel is, "" if it keeps nothing
	}

	// AuthenticateEvent: the client has a token, its first or another one.
	AuthenticateEvent struct {
		Client          *Client
		SignedAuthToken string
		AuthToken       *auth.Token // not verified; nil if it is not a JWT
	}

	// DeauthenticateEvent: the client has lost its token.
	DeauthenticateEvent struct {
		Client             *Client
		OldSignedAuthToken string
		OldAuthToken       *auth.Token // not verified; nil if it is not a JWT
	}

	// AuthStateChangeEvent comes before AuthenticateEvent and
	// DeauthenticateEvent if the state has changed.
	AuthStateChangeEvent struct {
		Client          *Client
		OldAuthState    socketcluster.AuthState
		NewAuthState    socketcluster.AuthState
		SignedAuthToken string      // "" if NewAuthState is Unauthenticated
		AuthToken       *auth.Token // nil if NewAuthState is Unauthenticated
	}

	// RemoveAuthTokenEvent: the token has been removed from the store. It comes after the
	// DeauthenticateEvent, when the store is done.
	RemoveAuthTokenEvent struct {
		Client             *Client
		OldSignedAuthToken string // that was in the store; "" if there was none
	}
)

func (ConnectingEvent) kind() eventKind           { return kindConnecting }
func (ConnectEvent) kind() eventKind              { return kindConnect }
func (ConnectAbortEvent) kind() eventKind         { return kindConnectAbort }
func (DisconnectEvent) kind() eventKind           { return kindDisconnect }
func (CloseEvent) kind() eventKind                { return kindClose }
func (ErrorEvent) kind() eventKind                { return kindError }
func (MessageEvent) kind() eventKind              { return kindMessage }
func (RawEvent) kind() eventKind                  { return kindRaw }
func (SubscribeEvent) kind() eventKind            { return kindSubscribe }
func (SubscribeFailEvent) kind() eventKind        { return kindSubscribeFail }
func (SubscribeRequestEvent) kind() eventKind     { return kindSubscribeRequest }
func (SubscribeStateChangeEvent) kind() eventKind { return kindSubscribeStateChange }
func (UnsubscribeEvent) kind() eventKind          { return kindUnsubscribe }
func (KickOutEvent) kind() eventKind              { return kindKickOut }
func (LostEvent) kind() eventKind                 { return kindLost }
func (AuthenticateEvent) kind() eventKind         { return kindAuthenticate }
func (DeauthenticateEvent) kind() eventKind       { return kindDeauthenticate }
func (AuthStateChangeEvent) kind() eventKind      { return kindAuthStateChange }
func (RemoveAuthTokenEvent) kind() eventKind      { return kindRemoveAuthToken }

// listeners has the handlers of events by their kind.
type listeners [numEventKinds]registry.List[func(Event)]

// call calls the handlers of an event.
func (l *listeners) call(e Event, log *slog.Logger) {
	guard.Emit(log, l[e.kind()].All(), e)
}

// eventCost is the number of bytes for which an event counts in Limits.Held,
// besides its data.
const eventCost = 256

// queued is an event that waits for its handlers, or the last one (nil).
type queued struct {
	event Event
	size  int
}

// emit queues an event for the goroutine that calls the handlers. mu must be
// held, so that events have the order of the changes that they report.
func (c *Client) emit(e Event) { c.emitSized(e, 0) }

// heard reports whether an event of a kind may have a handler. While events are being
// emitted, a handler, such as that of the connect event, may still add one. mu must be
// held.
func (c *Client) heard(kind eventKind) bool { return !c.listeners[kind].Empty() || c.emitting > 0 }

// emitSized is emit for an event with size bytes of data.
func (c *Client) emitSized(e Event, size int) {
	if !c.heard(e.kind()) {
		return
	}
	c.emitting++
	size += eventCost
	c.hold(size)
	c.events.Push(queued{e, size}, (*eventWorker)(c))
}

// emitError emits an error that no caller waits for. mu must be held.
func (c *Client) emitError(err error) { c.emitSized(ErrorEvent{c, err}, errorSize(err)) }

// errorSize is the number of bytes of an error, which may be the server's.
func errorSize(err error) int {
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return len(e.AppendJSON(nil))
	}
	return len(err.Error())
}

// eventWorker calls the handlers of events, one after the other.
type eventWorker Client

// Handle implements lane.Handler.
func (w *eventWorker) Handle(q queued) {
	c := (*Client)(w)
	if q.event == nil {
		close(c.finished)
		return
	}
	defer func() { // also if a handler ends its goroutine
		c.mu.Lock()
		c.emitting--
		c.mu.Unlock()
		c.release(q.size)
	}()
	c.listeners.call(q.event, c.log)
}

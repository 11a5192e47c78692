package socketcluster

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/guard"
	"github.com/socketcluster-go/socketcluster/internal/loop"
	"github.com/socketcluster-go/socketcluster/internal/registry"
	"github.com/socketcluster-go/socketcluster/wire"
)

// An Event is one of the event types of this package. Most are emitted twice:
// on the socket that they are about, then on its server.
type Event interface {
	kind() eventKind
}

// An Emitter is a *[Server] or a *[Socket].
type Emitter interface {
	addListener(k eventKind, fn func(Event)) (remove func())
	emitterDone() <-chan struct{}
	emits(k eventKind) bool
}

// On calls fn for every event of type E that the emitter emits from now on. The
// returned function ends this.
//
// The handlers of one socket's events run one at a time, in the order in which
// the state of the socket changed, those of the socket before those of the
// server. They see the state after the change. A handler that blocks delays its
// socket, but no other socket. An event that a handler causes itself is handled
// after the handler has returned.
//
// It panics if fn is nil, and for an event that this emitter never emits: the
// comment of an event states it if only the socket or only the server emits it.
func On[E Event](from Emitter, fn func(E)) (off func()) {
	var zero E
	mustEmit(from, zero)
	mustCall(fmt.Sprintf("the handler of %T", zero), fn)
	return from.addListener(zero.kind(), func(e Event) { fn(e.(E)) })
}

// Events returns the events of type E as a sequence for a for loop. The
// sequence contains the events since the call of Events, not since the start of
// the loop. For example, call it in the handler of [ConnectEvent], and loop
// over it in a goroutine. The loop ends when ctx does, after the [EndEvent] of
// a socket, and when the server has been closed. The sequence can be looped
// over once.
//
// Events wait for the loop in a short queue. When the queue is full, the
// emitter waits: a slow loop over the events of a socket delays that socket,
// and one over the events of the server delays all sockets. A loop that never
// begins does the same, until ctx ends.
func Events[E Event](ctx context.Context, from Emitter) iter.Seq[E] {
	var zero E
	mustEmit(from, zero)
	return loop.Events(ctx, from.emitterDone(), func(fn func(E)) (off func()) { return On(from, fn) })
}

type eventKind uint8

const (
	kindHandshake eventKind = iota
	kindConnect
	kindConnectAbort
	kindDisconnect
	kindClose
	kindEnd
	kindError
	kindWarning
	kindMessage
	kindRaw
	kindSubscribe
	kindUnsubscribe
	kindAuthenticate
	kindDeauthenticate
	kindAuthStateChange
	kindBadAuthToken
	kindAuthTokenSigned
	kindAudit
	kindPublish
	numEventKinds
)

// HandshakeEvent: a WebSocket has been accepted; nothing has been received on
// it yet. Only the server emits it, because nobody can listen to the socket
// before.
type HandshakeEvent struct{ Socket *Socket }

// ConnectEvent: the handshake is complete. JavaScript: connect on the socket,
// connection on the server.
type ConnectEvent struct {
	Socket          *Socket
	ID              string
	PingTimeout     time.Duration
	IsAuthenticated bool
	AuthError       error // why the client's token was not accepted, if it sent one
}

// ConnectAbortEvent: the connection was lost before its handshake was
// complete. JavaScript: connectAbort, connectionAbort.
type ConnectAbortEvent struct {
	Socket *Socket
	Code   wire.CloseCode
	Reason string
}

// DisconnectEvent: a connection whose handshake was complete has ended.
// JavaScript: disconnect, disconnection.
type DisconnectEvent struct {
	Socket *Socket
	Code   wire.CloseCode
	Reason string
}

// CloseEvent follows ConnectAbortEvent and DisconnectEvent. JavaScript: close,
// closure.
type CloseEvent struct {
	Socket *Socket
	Code   wire.CloseCode
	Reason string
}

// EndEvent is the last event of a socket: it has left all its channels. Only
// the socket emits it.
type EndEvent struct{ Socket *Socket }

// ErrorEvent: something went wrong with the socket. Only the socket emits it;
// the server emits a [WarningEvent].
type ErrorEvent struct {
	Socket *Socket
	Err    error
}

// WarningEvent: something went wrong with a socket, or with a request before it
// became one, in which case Socket is nil. Only the server emits it.
type WarningEvent struct {
	Socket *Socket
	Err    error
}

// MessageEvent: a message has been received, pongs included. Only the socket
// emits it, after the raw inbound middleware.
type MessageEvent struct {
	Socket *Socket
	Binary bool
	Data   []byte
}

// RawEvent: a message has been received that is not a packet of the protocol.
// Only the socket emits it.
type RawEvent struct {
	Socket *Socket
	Binary bool
	Data   []byte
}

// SubscribeEvent: the socket has been subscribed to a channel. JavaScript:
// subscribe, subscription.
type SubscribeEvent struct {
	Socket  *Socket
	Channel string
	Options json.RawMessage // the client's options besides the channel, an object
}

// UnsubscribeEvent: the socket has left a channel. JavaScript: unsubscribe,
// unsubscription.
type UnsubscribeEvent struct {
	Socket  *Socket
	Channel string
}

// AuthenticateEvent: the socket has a token, its first or another one.
// JavaScript: authenticate, authentication.
type AuthenticateEvent struct {
	Socket    *Socket
	AuthToken *auth.Token
}

// DeauthenticateEvent: the socket has lost its token. OldAuthToken is nil if
// it had none. JavaScript: deauthenticate, deauthentication.
type DeauthenticateEvent struct {
	Socket       *Socket
	OldAuthToken *auth.Token
}

// AuthStateChangeEvent comes before AuthenticateEvent and DeauthenticateEvent
// if the state has really changed. JavaScript: authStateChange,
// authenticationStateChange.
type AuthStateChangeEvent struct {
	Socket       *Socket
	OldAuthState AuthState
	NewAuthState AuthState
	AuthToken    *auth.Token // nil if NewAuthState is Unauthenticated
}

// BadAuthTokenEvent: the client has sent a token that will never be valid.
// JavaScript: badAuthToken, badSocketAuthToken.
type BadAuthTokenEvent struct {
	Socket          *Socket
	AuthError       error
	SignedAuthToken string
}

// AuthTokenSignedEvent: the server has signed a token for the socket. Only the
// socket emits it.
type AuthTokenSignedEvent struct {
	Socket          *Socket
	SignedAuthToken string
}

// PublishEvent: the broker has accepted a publication of a client, or of
// [Exchange.Publish] on this node. Only the server emits it, before the client is
// answered. What another node publishes is an event there.
//
// A client that publishes again with the same id, as it has no answer, causes another
// event, with the same data and, but for its time, the same Position. So a handler may
// be called twice for one publication, and is not called if the process dies before.
type PublishEvent struct {
	Socket   *Socket // nil: the server itself
	Channel  string
	Data     json.RawMessage // as it was published; nil if there is none. It must not be changed
	Position string          // in the history of the channel, where it is stored; "" if the channel keeps nothing
}

func (HandshakeEvent) kind() eventKind       { return kindHandshake }
func (ConnectEvent) kind() eventKind         { return kindConnect }
func (ConnectAbortEvent) kind() eventKind    { return kindConnectAbort }
func (DisconnectEvent) kind() eventKind      { return kindDisconnect }
func (CloseEvent) kind() eventKind           { return kindClose }
func (EndEvent) kind() eventKind             { return kindEnd }
func (ErrorEvent) kind() eventKind           { return kindError }
func (WarningEvent) kind() eventKind         { return kindWarning }
func (MessageEvent) kind() eventKind         { return kindMessage }
func (RawEvent) kind() eventKind             { return kindRaw }
func (SubscribeEvent) kind() eventKind       { return kindSubscribe }
func (UnsubscribeEvent) kind() eventKind     { return kindUnsubscribe }
func (AuthenticateEvent) kind() eventKind    { return kindAuthenticate }
func (DeauthenticateEvent) kind() eventKind  { return kindDeauthenticate }
func (AuthStateChangeEvent) kind() eventKind { return kindAuthStateChange }
func (BadAuthTokenEvent) kind() eventKind    { return kindBadAuthToken }
func (AuthTokenSignedEvent) kind() eventKind { return kindAuthTokenSigned }
func (AuditEvent) kind() eventKind           { return kindAudit }
func (PublishEvent) kind() eventKind         { return kindPublish }

// listeners has the handlers of an emitter by the kind of event.
type listeners [numEventKinds]registry.List[func(Event)]

func (l *listeners) has(k eventKind) bool { return !l[k].Empty() }

// call calls the handlers of an event. A panic in one of them is logged, and
// the others are still called.
func (l *listeners) call(e Event, log *slog.Logger) {
	guard.Emit(log, l[e.kind()].All(), e)
}

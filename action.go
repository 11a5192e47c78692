package socketcluster

import (
	"encoding/json"
	"net/http"

	"github.com/socketcluster-go/socketcluster/auth"
)

// An Action is what middleware decides on: a pointer to one of the action
// types of this package. Middleware may set the Data of those that have it to
// something else; what comes after sees that.
//
// Data is JSON as it came, and nil when the client sent none. An action's
// slices belong to it: they may be kept, and must not be written into.
type Action interface {
	// Type is the name of the action in the protocol's documentation, such
	// as "publishIn".
	Type() string
	line() line
}

// line is one of the four places where middleware runs.
type line uint8

const (
	lineHandshake line = iota
	lineInboundRaw
	lineInbound
	lineOutbound
	numLines
)

func (l line) String() string {
	return [...]string{"handshake", "inboundRaw", "inbound", "outbound"}[l]
}

// Upgrade: somebody wants to open a WebSocket. Blocking answers with 401.
// Handshake line.
type Upgrade struct {
	Request *http.Request
}

// Handshake: a client has sent its handshake, and its token, if any, or else
// that of its upgrade request (Config.TokenSources), has been verified.
// Blocking answers with the error and closes the connection with the error's
// statusCode field, or 4008. Handshake line.
type Handshake struct {
	Request *http.Request
	Socket  *Socket

	SignedAuthToken string
	AuthToken       *auth.Token // nil if there is none, or a bad one
	AuthTokenError  error       // why AuthToken is nil, if there was a token
}

// RawMessage: a message has been received, a pong or anything else. Blocking
// drops it. Inbound raw line.
type RawMessage struct {
	Socket *Socket
	Binary bool
	Data   []byte
}

// Transmit: the client has sent an event that wants no answer. Inbound line.
type Transmit struct {
	Socket   *Socket
	Receiver string
	Data     json.RawMessage

	// AuthTokenExpired is set when the socket's token was found to have
	// expired as this packet came.
	AuthTokenExpired error
}

// Invoke: the client calls a procedure. Inbound line.
type Invoke struct {
	Socket           *Socket
	Procedure        string
	Data             json.RawMessage
	AuthTokenExpired error // see Transmit
}

// Subscribe: the client wants to subscribe to a channel, or is subscribed and
// its token has changed, by login, renewal, logout or expiry. Blocking kicks it
// out in the second case, and so does taking longer than
// Config.Timeouts.Reauthorize; see Config.Compat.KeepSubscriptions. Several subscriptions
// of a socket may be asked about at the same time then, beside its other actions.
// Inbound line.
type Subscribe struct {
	Socket           *Socket
	Channel          string
	Data             json.RawMessage // the data option of the subscription
	Again            bool            // the socket is subscribed already
	AuthTokenExpired error           // see Transmit
}

// PublishIn: the client publishes. Inbound line.
type PublishIn struct {
	Socket           *Socket
	Channel          string
	Data             json.RawMessage
	AuthTokenExpired error // see Transmit
}

// Authenticate: the client has sent a good token, in its handshake, with its
// upgrade request or later. It becomes that of the socket when all middleware has
// allowed it; until then the socket has the one that it had before. After a block
// the socket has none. Tokens that the server sets itself do not pass here.
// Inbound line.
type Authenticate struct {
	Socket          *Socket
	SignedAuthToken string
	AuthToken       *auth.Token
}

// PublishOut: a publication is on its way to one of its subscribers. Blocking
// spares that subscriber, changing Data changes it for that subscriber alone.
// Outbound line.
type PublishOut struct {
	Socket  *Socket
	Channel string
	Data    json.RawMessage
}

// Type implements [Action].
func (*Upgrade) Type() string { return "handshakeWS" }

// Type implements [Action].
func (*Handshake) Type() string { return "handshakeSC" }

// Type implements [Action].
func (*RawMessage) Type() string { return "message" }

// Type implements [Action].
func (*Transmit) Type() string { return "transmit" }

// Type implements [Action].
func (*Invoke) Type() string { return "invoke" }

// Type implements [Action].
func (*Subscribe) Type() string { return "subscribe" }

// Type implements [Action].
func (*PublishIn) Type() string { return "publishIn" }

// Type implements [Action].
func (*Authenticate) Type() string { return "authenticate" }

// Type implements [Action].
func (*PublishOut) Type() string { return "publishOut" }

func (*Upgrade) line() line      { return lineHandshake }
func (*Handshake) line() line    { return lineHandshake }
func (*RawMessage) line() line   { return lineInboundRaw }
func (*Transmit) line() line     { return lineInbound }
func (*Invoke) line() line       { return lineInbound }
func (*Subscribe) line() line    { return lineInbound }
func (*PublishIn) line() line    { return lineInbound }
func (*Authenticate) line() line { return lineInbound }
func (*PublishOut) line() line   { return lineOutbound }

package socketcluster

import (
	"encoding/json"
	"net/http"

	"github.com/socketcluster-go/socketcluster/auth"
)

// An Action is something that middleware allows or blocks: a pointer to one of
// the action types of this package. Middleware may replace the Data of actions
// that have it; later middleware and handlers see the new data.
//
// Data is JSON as it arrived, or nil if the client sent none. The slices of an
// action belong to it: they may be kept, but must not be changed.
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

// Upgrade: a client wants to open a WebSocket. If it is blocked, the response
// is 401. Handshake line.
type Upgrade struct {
	Request *http.Request
}

// Handshake: a client has sent its handshake, and its token, or else that of
// its upgrade request (Config.TokenSources), has been verified if there is one.
// If it is blocked, the client receives the error, and the connection is closed
// with the code in the error's field statusCode, or 4008. Handshake line.
type Handshake struct {
	Request *http.Request
	Socket  *Socket

	SignedAuthToken string
	AuthToken       *auth.Token // nil if there is none, or it is bad
	AuthTokenError  error       // why AuthToken is nil, if there was a token
}

// RawMessage: a message has been received, including pongs. If it is blocked,
// it is dropped. Inbound raw line.
type RawMessage struct {
	Socket *Socket
	Binary bool
	Data   []byte
}

// Transmit: the client has sent an event that expects no answer. Inbound line.
type Transmit struct {
	Socket   *Socket
	Receiver string
	Data     json.RawMessage

	// AuthTokenExpired is set if the socket's token was found to have expired
	// when this packet arrived.
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
// its token has changed, by login, renewal, logout or expiry. In the second
// case, the client is kicked out if the action is blocked, or if middleware
// takes longer than Config.Timeouts.Reauthorize; see
// Config.Compat.KeepSubscriptions. Middleware may then run for several
// subscriptions of a socket at the same time, and concurrently with its other
// actions. Inbound line.
type Subscribe struct {
	Socket           *Socket
	Channel          string
	Data             json.RawMessage // the data option of the subscription
	Again            bool            // the socket is already subscribed
	AuthTokenExpired error           // see Transmit
}

// PublishIn: the client publishes to a channel. Inbound line.
type PublishIn struct {
	Socket           *Socket
	Channel          string
	Data             json.RawMessage
	AuthTokenExpired error // see Transmit
}

// Authenticate: the client has sent a valid token, in its handshake, with its
// upgrade request or later. It becomes the token of the socket when all
// middleware has allowed it; until then the socket keeps its previous token. If
// it is blocked, the socket has no token. Tokens that the server sets itself do
// not cause this action. Inbound line.
type Authenticate struct {
	Socket          *Socket
	SignedAuthToken string
	AuthToken       *auth.Token
}

// PublishOut: a publication is on its way to one of its subscribers. If it is
// blocked, this subscriber does not get it. A change of Data affects this
// subscriber only. Outbound line.
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

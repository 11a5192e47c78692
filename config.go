package socketcluster

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"reflect"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/httpauth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/internal/millis"
	"github.com/socketcluster-go/socketcluster/wire"
)

// Defaults of [Config]. The durations are those of socketcluster-server 20;
// the ping timeout, for example, is what a stock client is told to expect. The
// margin of renewals, which it does not know, is this package's own.
const (
	DefaultPath               = "/socketcluster/"
	DefaultHandshakeTimeout   = 10 * time.Second
	DefaultAckTimeout         = 10 * time.Second
	DefaultPingInterval       = 8 * time.Second
	DefaultPingTimeout        = 30 * time.Second
	DefaultCloseTimeout       = 3 * time.Second
	DefaultBatchInterval      = 50 * time.Millisecond
	DefaultRenewalMargin      = time.Minute
	DefaultReauthorizeTimeout = 10 * time.Second
)

// DefaultDrainRate is the default of Config.DrainRate. A thousand clients that
// connect in a second, with TLS and a token to verify, keep about one processor
// busy, of all those of the servers that take them.
const DefaultDrainRate = 1000

// DefaultShutdownTimeout is the default of Config.Timeouts.Shutdown. It is below the
// 10 seconds after which Docker kills a process that it has told to stop.
// Kubernetes waits for 30.
const DefaultShutdownTimeout = 8 * time.Second

// Config holds all settings of a [Server]. The zero value works: it serves
// protocol 2 at /socketcluster/ and signs tokens with a key made for this
// process, so that logins end when it does.
//
// A duration of zero means its default, and one below a millisecond is refused:
// it was meant to be in another unit than nanoseconds. Nothing in it may change
// once it has been given to [New].
type Config struct {
	// Auth has the keys that sign and verify tokens, and what holds for all tokens.
	// Auth.Key is for HS256, Auth.PrivateKey and Auth.PublicKey are a pair, and
	// Auth.Keys are several keys that may change while the server runs. Without any
	// key a random one is made, and a warning logged when the first token is signed:
	// such tokens die with the process, and other servers do not accept them.
	//
	// Defaults besides those of [auth.Options]: MaxTokenSize is Limits.TokenSize,
	// TokenIDs is true with Revocations, and Logger is that of the server.
	Auth auth.Options

	// AuthEngine replaces the JWT engine that is made of Auth, which must then be
	// empty.
	AuthEngine auth.Engine

	// AuthMaxAge is how long after a login its token is signed again, by
	// TokenRenewal, [UpdateClaims], [Socket.SetAuthTokenIf] or [Server.SignAgain], at
	// most; no such token lives beyond it. The
	// user has to log in again then. The time of the login is the claim auth_time
	// of the token, or else iat. Default: 0, which is for ever.
	AuthMaxAge time.Duration

	// TokenSources are the places of an upgrade request in which a token may
	// be. They are asked in order when the client's handshake brings no token
	// and the request has no principal ([httpauth.NewContext]); the first that
	// has a token, or an error, decides. Default: none.
	//
	// A request with a principal or an ambient token, such as a cookie, is
	// refused with 403 if it comes from a page of another origin, unless
	// Origins has that with its host: entries in which the host is "*" do not
	// count for it. What goes by the address of the client is also refused if it
	// has come to a host that Origins does not have, but for localhost and IP
	// addresses. See [httpauth.Origins.Trust].
	//
	// Tokens that came this way are not renewed, as the client's scripts would
	// see the new one.
	TokenSources []httpauth.Source

	// Revocations says which tokens are no longer good although they have not
	// expired. It is asked about each token that a socket gets, and nothing is
	// asked for a message; what is added to it ends the logins of the sockets
	// that are there. See [Server.Revoke]. With it, tokens are
	// signed with a random jti unless they have one; an AuthEngine must see to
	// that by itself. Default: none.
	Revocations revoke.Store

	// TokenRenewal gives every authenticated socket a fresh token from time
	// to time. Default: off.
	TokenRenewal TokenRenewal

	// Path is the path at which the server is mounted; it is compared with
	// the request's byte for byte, as it stands in the request: what must be
	// percent-encoded there must be so here. Default: [DefaultPath].
	Path string

	// Origins lists the origins of the pages that may connect:
	// "https://app.example.com", "https://*.example.com", "capacitor://localhost",
	// or "host:port", in which either part may be "*"; see [httpauth.Origins].
	// Empty admits all, as tokens in localStorage cannot be
	// used by another origin. A request without an Origin header does not
	// come from a browser's page; a list refuses it unless
	// AllowMissingOrigin is set.
	Origins            []string
	AllowMissingOrigin bool

	// TrustedProxies are the addresses or networks of your own proxies, such as
	// "::1" and "10.0.0.0/8", whose header X-Forwarded-For is believed; "unix"
	// stands for all that connect over a Unix socket. See [Server.ClientAddr]. Each
	// of them must append the address that it has heard from. Default: none.
	TrustedProxies []string

	// Subprotocol picks one of the subprotocols that a client offers. Those
	// that hold a token, see [httpauth.Subprotocol], are left out. Without it,
	// the first one offered is echoed. Stock clients offer none.
	Subprotocol func(offered []string, r *http.Request) string

	// ProtocolVersion is what is spoken at Path: 2 for clients from v15 on, or
	// 1 for those before. Clients do not say which one they speak.
	ProtocolVersion wire.Version

	// Protocol1Path is a second path, at which version 1 is spoken while Path
	// speaks version 2. The clients of both are sockets of this one server:
	// handlers, middleware and channels are the same for all. Default: none.
	Protocol1Path string

	// Codec is the form of messages in place of JSON text, such as
	// [github.com/socketcluster-go/socketcluster/wire/minbin]. All clients of
	// the server must be set to the same. Default: JSON.
	Codec wire.Codec

	// Timeouts are the times that clients, the server and its middleware have.
	Timeouts Timeouts

	// DrainRate is how many clients a second [Server.Shutdown] closes, after as
	// many at once in the beginning: so the servers that they turn to are not
	// stormed, and a small server shuts down at once. Stock clients wait 10 to 20
	// seconds before they connect again, which spreads them besides. Default:
	// [DefaultDrainRate].
	DrainRate int

	// DisableClientPublish refuses every publication by clients.
	DisableClientPublish bool

	// MuteMiddlewareFailures keeps actions that middleware has blocked from
	// being emitted as errors of the socket.
	MuteMiddlewareFailures bool

	// Batching is how packets are collected into messages.
	Batching Batching

	// Compression compresses messages for clients that offer it. Default: off.
	Compression Compression

	// Limits bounds what clients can make the server hold.
	Limits Limits

	// Compat has the server do as socketcluster-server does where this package does
	// something else by default.
	Compat Compat

	// Broker carries publications; the default serves this process alone.
	Broker broker.Broker

	// Logger gets what an operator should see. Tokens and message contents
	// are never logged. Default: slog.Default().
	Logger *slog.Logger
}

// TokenRenewal tells a server to replace the tokens of its sockets before they
// expire. The new token carries the claims of the old one without iat, exp,
// nbf and jti, has a new jti, and expires after ExpiresIn.
//
// It starts when a socket becomes authenticated, by login or by a token in
// its handshake, and stops with its authentication. A token that came with the
// upgrade request (Config.TokenSources) is not replaced.
type TokenRenewal struct {
	// Every is the longest time that a token is kept. 0 turns renewal off; the
	// other fields must be 0 then too.
	Every time.Duration

	// ExpiresIn is the life of the new tokens. Default: the engine's default
	// expiry.
	ExpiresIn time.Duration

	// Margin is how long before its end a token is replaced at the latest, or
	// at half of its life if that is later. A client that is slow to take the
	// new token, or offline for less than the margin, stays logged in.
	// Default: [DefaultRenewalMargin].
	Margin time.Duration

	// Jitter spreads renewals: each comes earlier by a random time below it,
	// and below half of the wait. Without it, clients that have connected in
	// the same moment, as after a restart, would all be renewed in the same
	// moment. Default: a tenth of Every; 1 is as good as none.
	Jitter time.Duration
}

// Timeouts of a [Config].
type Timeouts struct {
	// Handshake is how long a connection may take from the upgrade to
	// the answer of its handshake, the verification of its token and all
	// middleware included. Default: [DefaultHandshakeTimeout].
	Handshake time.Duration

	// Ack is how long Invoke waits for a client's answer when the
	// context has no deadline. Default: [DefaultAckTimeout].
	Ack time.Duration

	// PingInterval is the time between two pings to a client. It must be below
	// Ping. Default: [DefaultPingInterval].
	PingInterval time.Duration

	// Ping is how long a client may be silent. Clients are told it in
	// the handshake and use it for the server's pings. Default: [DefaultPingTimeout].
	Ping time.Duration

	// PingDisabled stops the pings of every Timeouts.PingInterval and the timeout. The
	// client must be told to ignore its own timeout too (pingTimeoutDisabled).
	PingDisabled bool

	// Close is how long a client may take to answer a close frame, and
	// how long the inbox may take to handle what a client has sent before it
	// has closed the connection. Default: [DefaultCloseTimeout].
	Close time.Duration

	// Reauthorize is how long inbound middleware may take to say whether
	// subscriptions may go on after the token has changed, see
	// Compat.KeepSubscriptions. Until then what is published to them is
	// withheld. Those without an answer at its end are kicked out. Default:
	// [DefaultReauthorizeTimeout].
	Reauthorize time.Duration

	// Shutdown is how long [Server.Serve] and [Server.Run] give
	// clients and requests to go, a few seconds less than until the process is
	// killed. [Server.Shutdown] goes by its context instead.
	// Default: [DefaultShutdownTimeout].
	Shutdown time.Duration
}

// Batching of a [Config]: packets that are sent to a socket within a short time leave
// as one message. See also [Socket.StartBatch].
type Batching struct {
	// OnHandshake collects what is sent to a socket for so long after its
	// handshake. Default: 0, which is off; socketcluster-server has 400 ms when its
	// batchOnHandshake is set.
	OnHandshake time.Duration

	// Interval is the time for which packets are collected into one message.
	// Default: [DefaultBatchInterval].
	Interval time.Duration
}

// Compat has switches back to what socketcluster-server does, where this package does
// something else by default. What each allows has a price, but for TokenAfterAnswer.
// [auth.Options].AllowWeakKey is another one.
type Compat struct {
	// KeepSubscriptions lets subscriptions outlive the token that they were
	// made with, as socketcluster-server does. By default the inbound
	// middleware is asked about each of them again ([Subscribe] with Again set)
	// whenever the socket's token changes, and what it blocks is kicked out.
	// Those that the client made with waitForAuth are suspended instead when
	// it logs out, and come back with the next login.
	KeepSubscriptions bool

	// SilentUnhandledCalls leaves a call of a procedure that nobody handles
	// unanswered, as socketcluster-server does; the caller then waits for its
	// timeout. By default it is answered with an UnknownProcedureError.
	SilentUnhandledCalls bool

	// DropWaiting drops the calls and transmissions of a client that still wait
	// for their handlers and loops when it has gone, as socketcluster-server
	// does, and what is in its inbox. By default they are all handled, and what
	// a client has sent before its close frame passes the inbox first, within
	// Timeouts.Close. What is in the inbox when a connection is lost is dropped.
	DropWaiting bool

	// LenientHandshake ignores messages that come before the handshake
	// instead of closing the connection with 4009. None of them is acted on.
	LenientHandshake bool

	// KeepRequest keeps the upgrade request for the life of a socket. By
	// default [Socket.Request] is nil once the connect event has been
	// handled, as headers are a large part of what an idle connection costs.
	KeepRequest bool

	// TokenAfterAnswer keeps what a handler has done to the token of its socket
	// from the client until the call is answered. By default the client has its
	// token when the call is answered, so that a page can go on. With this set a
	// page can wait for the token after the answer:
	//
	//	await socket.invoke('login', credentials);
	//	await socket.listener('authenticate').once();
	//
	// By default it would wait for ever, as the event has come before.
	//
	// It is for [Socket.SetAuthToken], [Socket.SetAuthTokenIf], [UpdateClaims] and
	// [Socket.Deauthenticate], called with the context of the handler, one made from
	// it, or, in a loop, that of [Call.Context]. The socket has its new token at once,
	// and what else it is sent does not wait. A call that is not answered keeps
	// the token from the client for Timeouts.Ack, as stock clients wait no longer.
	TokenAfterAnswer bool
}

// ConfigError names the field of [Config] that cannot be used, and the reason.
type ConfigError struct {
	Field  string // for example "Auth.Key" or "Limits.MessageSize"
	Reason string
	Err    error // the cause, may be nil
}

// Error implements error.
func (e *ConfigError) Error() string {
	return fmt.Sprintf("socketcluster: Config.%s %s", e.Field, e.Reason)
}

// Unwrap returns the cause.
func (e *ConfigError) Unwrap() error { return e.Err }

func configError(field, format string, args ...any) *ConfigError {
	return &ConfigError{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// withDefaults returns a checked copy of c in which nothing is unset.
func (c Config) withDefaults() (Config, error) {
	if c.Path == "" {
		c.Path = DefaultPath
	}
	if !isPath(c.Path) {
		return c, configError("Path", "is %q; it must be the path of a URL as it stands in a request", c.Path)
	}
	if c.ProtocolVersion == 0 {
		c.ProtocolVersion = wire.Version2
	}
	if !c.ProtocolVersion.Valid() {
		return c, configError("ProtocolVersion", "is %d; it must be 1 or 2", c.ProtocolVersion)
	}
	if p := c.Protocol1Path; p != "" {
		switch {
		case !isPath(p):
			return c, configError("Protocol1Path", "is %q; it must be the path of a URL as it stands in a request", p)
		case p == c.Path:
			return c, configError("Protocol1Path", "is %q, as Path is; to speak version 1 alone, set ProtocolVersion", p)
		case c.ProtocolVersion == wire.Version1:
			return c, configError("Protocol1Path", "is set while ProtocolVersion is 1; it is the second path, beside one for version 2")
		}
	}
	if r := c.TokenRenewal; r.Every == 0 {
		for _, d := range []struct {
			field string
			value time.Duration
		}{
			{"TokenRenewal.ExpiresIn", r.ExpiresIn}, {"TokenRenewal.Margin", r.Margin}, {"TokenRenewal.Jitter", r.Jitter},
		} {
			if d.value > 0 {
				return c, configError(d.field, "is %v while TokenRenewal.Every is 0, without which nothing is renewed; for the life of all tokens set Auth.DefaultExpiry", d.value)
			}
		}
	}
	for _, d := range []struct {
		field    string
		value    *time.Duration
		fallback time.Duration
	}{
		{limitHandshakeTimeout.String(), &c.Timeouts.Handshake, DefaultHandshakeTimeout},
		{"Timeouts.Ack", &c.Timeouts.Ack, DefaultAckTimeout},
		{"Timeouts.PingInterval", &c.Timeouts.PingInterval, DefaultPingInterval},
		{limitPingTimeout.String(), &c.Timeouts.Ping, DefaultPingTimeout},
		{limitCloseTimeout.String(), &c.Timeouts.Close, DefaultCloseTimeout},
		{"Batching.OnHandshake", &c.Batching.OnHandshake, 0},
		{"Batching.Interval", &c.Batching.Interval, DefaultBatchInterval},
		{"Timeouts.Reauthorize", &c.Timeouts.Reauthorize, DefaultReauthorizeTimeout},
		{"Timeouts.Shutdown", &c.Timeouts.Shutdown, DefaultShutdownTimeout},
		{"AuthMaxAge", &c.AuthMaxAge, 0},
		{"TokenRenewal.Every", &c.TokenRenewal.Every, 0},
		{"TokenRenewal.ExpiresIn", &c.TokenRenewal.ExpiresIn, 0},
		{"TokenRenewal.Margin", &c.TokenRenewal.Margin, DefaultRenewalMargin},
		{"TokenRenewal.Jitter", &c.TokenRenewal.Jitter, c.TokenRenewal.Every / 10},
	} {
		if *d.value < 0 {
			return c, configError(d.field, "is %v; it must not be negative", *d.value)
		}
		if *d.value == 0 {
			*d.value = d.fallback
		}
		// A jitter may be as short as can be, as 0 means the default.
		if reason := millis.Reason(*d.value); reason != "" && d.value != &c.TokenRenewal.Jitter {
			return c, &ConfigError{Field: d.field, Reason: reason}
		}
	}
	t := &c.Timeouts
	if !t.PingDisabled && t.PingInterval >= t.Ping {
		return c, configError("Timeouts.PingInterval", "is %v; it must be below Timeouts.Ping, which is %v: a silent server sends nothing else, and clients give up after that time", t.PingInterval, t.Ping)
	}
	// Clients keep the timeout in a 32-bit number of milliseconds and refuse
	// to start their timer beyond it.
	if t.Ping > math.MaxInt32*time.Millisecond {
		return c, configError("Timeouts.Ping", "is %v; clients accept at most %v", t.Ping, math.MaxInt32*time.Millisecond)
	}
	if c.DrainRate < 0 {
		return c, configError("DrainRate", "is %d; it must not be negative", c.DrainRate)
	}
	if c.DrainRate == 0 {
		c.DrainRate = DefaultDrainRate
	}
	if r := c.TokenRenewal; r.Every > 0 && r.ExpiresIn > 0 && r.ExpiresIn < 2*time.Second {
		return c, configError("TokenRenewal.ExpiresIn", "is %v; tokens live for whole seconds, and must be renewed before their last one", r.ExpiresIn)
	}
	for _, f := range []struct {
		field string
		value any
	}{
		{"AuthEngine", c.AuthEngine}, {"Revocations", c.Revocations}, {"Codec", c.Codec}, {"Broker", c.Broker},
	} {
		if v := reflect.ValueOf(f.value); v.Kind() == reflect.Pointer && v.IsNil() {
			return c, configError(f.field, "is a nil %T; was the error checked when it was made?", f.value)
		}
	}
	for i, source := range c.TokenSources {
		if err := source.Err(); err != nil {
			return c, configError("TokenSources", "has an entry %d that cannot be used: %v", i, err)
		}
	}
	if err := c.Compression.setDefaults(); err != nil {
		return c, err
	}
	given := c.Limits.TokenSize
	if err := c.Limits.setDefaults(); err != nil {
		return c, err
	}
	if given != 0 && given < leastToken && c.AuthEngine == nil {
		return c, configError(limitTokenSize.String(), "is %d; it must be at least %d, as no token is shorter", given, leastToken)
	}
	// A client brings its token in the handshake, and would try for ever with one
	// that does not fit.
	if l := &c.Limits; l.TokenSize > l.HandshakeMessageSize-aroundToken && len(c.TokenSources) == 0 {
		if given != 0 {
			return c, configError(limitTokenSize.String(), "is %d; it must not be larger than %d, which is Limits.HandshakeMessageSize without the %d bytes around a token, as clients bring their tokens in the handshake", given, l.HandshakeMessageSize-aroundToken, aroundToken)
		}
		l.TokenSize = l.HandshakeMessageSize - aroundToken
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c, nil
}

// isPath tells whether a path may stand in a request as it is.
func isPath(p string) bool {
	u, err := url.ParseRequestURI(p)
	return err == nil && p[0] == '/' && u.EscapedPath() == p
}

// engine makes the engine that signs and verifies.
func (c *Config) engine() (auth.Engine, error) {
	if c.AuthEngine != nil {
		if !reflect.ValueOf(c.Auth).IsZero() {
			return nil, configError("AuthEngine", "is set together with Auth, which it would ignore")
		}
		return c.AuthEngine, nil
	}
	o := c.Auth
	o.MaxTokenSize = cmp.Or(o.MaxTokenSize, c.Limits.TokenSize)
	o.TokenIDs = o.TokenIDs || c.Revocations != nil
	o.Logger = cmp.Or(o.Logger, c.Logger)
	engine, err := auth.NewJWT(o)
	if bad, ok := errors.AsType[*auth.OptionError](err); ok {
		return nil, &ConfigError{Field: "Auth." + bad.Field, Reason: bad.Reason, Err: bad}
	}
	return engine, err
}

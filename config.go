package socketcluster

import (
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
	DefaultPath                     = "/socketcluster/"
	DefaultHandshakeTimeout         = 10 * time.Second
	DefaultAckTimeout               = 10 * time.Second
	DefaultPingInterval             = 8 * time.Second
	DefaultPingTimeout              = 30 * time.Second
	DefaultCloseTimeout             = 3 * time.Second
	DefaultBatchOnHandshakeDuration = 400 * time.Millisecond
	DefaultBatchInterval            = 50 * time.Millisecond
	DefaultRenewalMargin            = time.Minute
	DefaultReauthorizeTimeout       = 10 * time.Second
)

// DefaultDrainRate is the default of Config.DrainRate. A thousand clients that
// connect in a second, with TLS and a token to verify, keep about one processor
// busy, of all those of the servers that take them.
const DefaultDrainRate = 1000

// DefaultShutdownTimeout is the default of Config.ShutdownTimeout. It is below the
// 10 seconds after which Docker kills a process that it has told to stop.
// Kubernetes waits for 30.
const DefaultShutdownTimeout = 8 * time.Second

// Config holds all settings of a [Server]. The zero value works: it serves
// protocol 2 at /socketcluster/ and signs tokens with a key made for this
// process, so that logins end when it does.
//
// A duration of zero means its default, and one below a millisecond is refused:
// it was meant to be in another unit than nanoseconds. Nothing in it may change once it has
// been given to [New].
type Config struct {
	// AuthKey is the secret that signs and verifies tokens with HS256: its
	// bytes as they are, not decoded from hex or base64. Keys under 32 bytes
	// are refused, as they can be guessed from one token, unless
	// AllowWeakAuthKey is set. Without any key, a random one is made, and a
	// warning logged when the first token is signed: such tokens die with the
	// process, and other servers do not accept them.
	AuthKey string

	// AuthPrivateKey and AuthPublicKey are a key pair in PEM, used instead of
	// AuthKey: the private key signs, the public one verifies.
	AuthPrivateKey string
	AuthPublicKey  string

	// AuthAlgorithm is the algorithm that signs. It is found from the key
	// when empty: HS256, RS256, or the ES algorithm of the curve.
	AuthAlgorithm string

	// AuthVerifyAlgorithms are the algorithms that are accepted. When empty,
	// it is AuthAlgorithm if that is set, else every algorithm that fits the
	// kind of the verification key.
	AuthVerifyAlgorithms []string

	// AuthDefaultExpiry is the life of tokens that are given none of their
	// own; 0 means 24 hours, and a negative value that they never expire.
	AuthDefaultExpiry time.Duration

	// AuthClockTolerance is by how much the clocks of other machines that issue
	// tokens may differ from this one, at most a minute: a token is accepted that
	// much before its nbf and after its exp, and a socket keeps its token as long.
	// Without it, a client whose token begins two seconds from now is not
	// logged in, though it keeps the token. Default: none, so that a token ends at
	// its exp.
	AuthClockTolerance time.Duration

	// AllowWeakAuthKey admits an AuthKey under 32 bytes. Anyone who gets hold
	// of one token can then try keys until the signature fits.
	AllowWeakAuthKey bool

	// AuthKeys are the keys in place of all settings above but
	// AuthDefaultExpiry and AuthClockTolerance: several at once, each with its algorithm, that may
	// change while the server runs. See [auth.NewKeyRing], [auth.WatchKeyFiles]
	// and package auth/jwks.
	AuthKeys auth.KeySource

	// AuthMaxAge is how long after a login its token is signed again, by
	// TokenRenewal, [UpdateClaims], [Socket.SetAuthTokenIf] or [Server.SignAgain], at
	// most; no such token lives beyond it. The
	// user has to log in again then. The time of the login is the claim auth_time
	// of the token, or else iat. Default: 0, which is for ever.
	AuthMaxAge time.Duration

	// AuthEngine replaces the JWT engine. The Auth settings above must then
	// be empty.
	AuthEngine auth.Engine

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

	// LenientHandshake ignores messages that come before the handshake
	// instead of closing the connection with 4009. None of them is acted on.
	LenientHandshake bool

	// HandshakeTimeout is how long a connection may take from the upgrade to
	// the answer of its handshake, the verification of its token and all
	// middleware included.
	HandshakeTimeout time.Duration

	// AckTimeout is how long Invoke waits for a client's answer when the
	// context has no deadline.
	AckTimeout time.Duration

	// PingInterval is the time between two pings to a client. It must be below
	// PingTimeout.
	PingInterval time.Duration

	// PingTimeout is how long a client may be silent. Clients are told it in
	// the handshake and use it for the server's pings.
	PingTimeout time.Duration

	// PingTimeoutDisabled stops the pings of every PingInterval and the timeout. The
	// client must be told to ignore its own timeout too (pingTimeoutDisabled).
	PingTimeoutDisabled bool

	// CloseTimeout is how long a client may take to answer a close frame, and
	// how long the inbox may take to handle what a client has sent before it
	// has closed the connection.
	CloseTimeout time.Duration

	// DrainRate is how many clients a second [Server.Shutdown] closes, after as
	// many at once in the beginning: so the servers that they turn to are not
	// stormed, and a small server shuts down at once. Stock clients wait 10 to 20
	// seconds before they connect again, which spreads them besides. Default:
	// [DefaultDrainRate].
	DrainRate int

	// ShutdownTimeout is how long [Server.Serve] and [Server.ListenAndServe] give
	// clients and requests to go, a few seconds less than until the process is
	// killed. [Server.Shutdown] goes by its context instead.
	// Default: [DefaultShutdownTimeout].
	ShutdownTimeout time.Duration

	// DisableClientPublish refuses every publication by clients.
	DisableClientPublish bool

	// ReauthorizeTimeout is how long inbound middleware may take to say whether
	// subscriptions may go on after the token has changed, see
	// [Config.KeepSubscriptions]. Until then what is published to them is
	// withheld. Those without an answer at its end are kicked out. Default:
	// [DefaultReauthorizeTimeout].
	ReauthorizeTimeout time.Duration

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
	// CloseTimeout. What is in the inbox when a connection is lost is dropped.
	DropWaiting bool

	// MuteMiddlewareFailures keeps actions that middleware has blocked from
	// being emitted as errors of the socket.
	MuteMiddlewareFailures bool

	// BatchOnHandshake collects what is sent in the first
	// BatchOnHandshakeDuration after the handshake, one message for each
	// BatchInterval.
	BatchOnHandshake         bool
	BatchOnHandshakeDuration time.Duration
	BatchInterval            time.Duration

	// KeepRequest keeps the upgrade request for the life of a socket. By
	// default [Socket.Request] is nil once the connect event has been
	// handled, as headers are a large part of what an idle connection costs.
	KeepRequest bool

	// Compression compresses messages for clients that offer it. Default: off.
	Compression Compression

	// Limits bounds what clients can make the server hold.
	Limits Limits

	// Compat has the server do as socketcluster-server does in details that pages
	// may rely on.
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

// Compat has what socketcluster-server does and this package does not by default,
// although nobody is harmed by it. The other switches back are fields of [Config]
// itself, as what they allow has a price.
type Compat struct {
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
	// the token from the client for AckTimeout, as stock clients wait no longer.
	TokenAfterAnswer bool
}

// ConfigError names the field of [Config] that cannot be used, and the reason.
type ConfigError struct {
	Field  string // for example "PingInterval" or "Limits.MessageSize"
	Reason string
}

// Error implements error.
func (e *ConfigError) Error() string {
	return fmt.Sprintf("socketcluster: Config.%s %s", e.Field, e.Reason)
}

// withDefaults returns a checked copy of c in which nothing is unset.
func (c Config) withDefaults() (Config, error) {
	if c.Path == "" {
		c.Path = DefaultPath
	}
	if !isPath(c.Path) {
		return c, &ConfigError{"Path", fmt.Sprintf("is %q; it must be the path of a URL as it stands in a request", c.Path)}
	}
	if c.ProtocolVersion == 0 {
		c.ProtocolVersion = wire.Version2
	}
	if !c.ProtocolVersion.Valid() {
		return c, &ConfigError{"ProtocolVersion", fmt.Sprintf("is %d; it must be 1 or 2", c.ProtocolVersion)}
	}
	if p := c.Protocol1Path; p != "" {
		switch {
		case !isPath(p):
			return c, &ConfigError{"Protocol1Path", fmt.Sprintf("is %q; it must be the path of a URL as it stands in a request", p)}
		case p == c.Path:
			return c, &ConfigError{"Protocol1Path", fmt.Sprintf("is %q, as Path is; to speak version 1 alone, set ProtocolVersion", p)}
		case c.ProtocolVersion == wire.Version1:
			return c, &ConfigError{"Protocol1Path", "is set while ProtocolVersion is 1; it is the second path, beside one for version 2"}
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
				return c, &ConfigError{d.field, fmt.Sprintf("is %v while TokenRenewal.Every is 0, without which nothing is renewed; for the life of all tokens set AuthDefaultExpiry", d.value)}
			}
		}
	}
	for _, d := range []struct {
		field    string
		value    *time.Duration
		fallback time.Duration
	}{
		{limitHandshakeTimeout.String(), &c.HandshakeTimeout, DefaultHandshakeTimeout},
		{"AckTimeout", &c.AckTimeout, DefaultAckTimeout},
		{"PingInterval", &c.PingInterval, DefaultPingInterval},
		{limitPingTimeout.String(), &c.PingTimeout, DefaultPingTimeout},
		{limitCloseTimeout.String(), &c.CloseTimeout, DefaultCloseTimeout},
		{"BatchOnHandshakeDuration", &c.BatchOnHandshakeDuration, DefaultBatchOnHandshakeDuration},
		{"BatchInterval", &c.BatchInterval, DefaultBatchInterval},
		{"ReauthorizeTimeout", &c.ReauthorizeTimeout, DefaultReauthorizeTimeout},
		{"ShutdownTimeout", &c.ShutdownTimeout, DefaultShutdownTimeout},
		{"AuthMaxAge", &c.AuthMaxAge, 0},
		{"TokenRenewal.Every", &c.TokenRenewal.Every, 0},
		{"TokenRenewal.ExpiresIn", &c.TokenRenewal.ExpiresIn, 0},
		{"TokenRenewal.Margin", &c.TokenRenewal.Margin, DefaultRenewalMargin},
		{"TokenRenewal.Jitter", &c.TokenRenewal.Jitter, c.TokenRenewal.Every / 10},
	} {
		if *d.value < 0 {
			return c, &ConfigError{d.field, fmt.Sprintf("is %v; it must not be negative", *d.value)}
		}
		if *d.value == 0 {
			*d.value = d.fallback
		}
		// A jitter may be as short as can be, as 0 means the default.
		if reason := millis.Reason(*d.value); reason != "" && d.value != &c.TokenRenewal.Jitter {
			return c, &ConfigError{d.field, reason}
		}
	}
	if !c.PingTimeoutDisabled && c.PingInterval >= c.PingTimeout {
		return c, &ConfigError{"PingInterval", fmt.Sprintf("is %v; it must be below PingTimeout, which is %v: a silent server sends nothing else, and clients give up after that time", c.PingInterval, c.PingTimeout)}
	}
	// Clients keep the timeout in a 32-bit number of milliseconds and refuse
	// to start their timer beyond it.
	if c.PingTimeout > math.MaxInt32*time.Millisecond {
		return c, &ConfigError{limitPingTimeout.String(), fmt.Sprintf("is %v; clients accept at most %v", c.PingTimeout, math.MaxInt32*time.Millisecond)}
	}
	if c.DrainRate < 0 {
		return c, &ConfigError{"DrainRate", fmt.Sprintf("is %d; it must not be negative", c.DrainRate)}
	}
	if c.DrainRate == 0 {
		c.DrainRate = DefaultDrainRate
	}
	if d := c.AuthDefaultExpiry; d > 0 && d < time.Second {
		return c, &ConfigError{"AuthDefaultExpiry", fmt.Sprintf("is %v; tokens live for whole seconds", d)}
	}
	if d := c.AuthClockTolerance; d < 0 || d > auth.MaxClockTolerance {
		return c, &ConfigError{"AuthClockTolerance", fmt.Sprintf("is %v; it must be from 0 to %v", d, auth.MaxClockTolerance)}
	}
	if r := c.TokenRenewal; r.Every > 0 && r.ExpiresIn > 0 && r.ExpiresIn < 2*time.Second {
		return c, &ConfigError{"TokenRenewal.ExpiresIn", fmt.Sprintf("is %v; tokens live for whole seconds, and must be renewed before their last one", r.ExpiresIn)}
	}
	for _, f := range []struct {
		field string
		value any
	}{
		{"AuthKeys", c.AuthKeys}, {"AuthEngine", c.AuthEngine}, {"Revocations", c.Revocations}, {"Codec", c.Codec}, {"Broker", c.Broker},
	} {
		if v := reflect.ValueOf(f.value); v.Kind() == reflect.Pointer && v.IsNil() {
			return c, &ConfigError{f.field, fmt.Sprintf("is a nil %T; was the error checked when it was made?", f.value)}
		}
	}
	for i, source := range c.TokenSources {
		if err := source.Err(); err != nil {
			return c, &ConfigError{"TokenSources", fmt.Sprintf("has an entry %d that cannot be used: %v", i, err)}
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
		return c, &ConfigError{limitTokenSize.String(), fmt.Sprintf("is %d; it must be at least %d, as no token is shorter", given, leastToken)}
	}
	// A client brings its token in the handshake, and would try for ever with one
	// that does not fit.
	if l := &c.Limits; l.TokenSize > l.HandshakeMessageSize-aroundToken && len(c.TokenSources) == 0 {
		if given != 0 {
			return c, &ConfigError{limitTokenSize.String(), fmt.Sprintf("is %d; it must not be larger than %d, which is Limits.HandshakeMessageSize without the %d bytes around a token, as clients bring their tokens in the handshake", given, l.HandshakeMessageSize-aroundToken, aroundToken)}
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
		if c.AuthKey != "" || c.AuthPrivateKey != "" || c.AuthPublicKey != "" || c.AuthAlgorithm != "" ||
			len(c.AuthVerifyAlgorithms) > 0 || c.AuthDefaultExpiry != 0 || c.AuthClockTolerance != 0 || c.AllowWeakAuthKey || c.AuthKeys != nil {
			return nil, &ConfigError{"AuthEngine", "is set together with other Auth settings, which it would ignore"}
		}
		return c.AuthEngine, nil
	}
	return auth.NewJWT(auth.Options{
		Key:              c.AuthKey,
		Keys:             c.AuthKeys,
		PrivateKey:       []byte(c.AuthPrivateKey),
		PublicKey:        []byte(c.AuthPublicKey),
		Algorithm:        c.AuthAlgorithm,
		VerifyAlgorithms: c.AuthVerifyAlgorithms,
		DefaultExpiry:    c.AuthDefaultExpiry,
		ClockTolerance:   c.AuthClockTolerance,
		MaxTokenSize:     c.Limits.TokenSize,
		AllowWeakKey:     c.AllowWeakAuthKey,
		TokenIDs:         c.Revocations != nil,
		Logger:           c.Logger,
	})
}

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

// Defaults of [Config]. The durations are those of socketcluster-server 20. The
// margin of renewals, which that server does not have, is this package's own.
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
// busy on the servers to which they connect.
const DefaultDrainRate = 1000

// DefaultShutdownTimeout is the default of Config.Timeouts.Shutdown. It is less
// than the 10 seconds after which Docker kills a process that it is stopping.
// Kubernetes waits 30 seconds.
const DefaultShutdownTimeout = 8 * time.Second

// Config has all settings of a [Server]. The zero value works: it serves
// protocol 2 at /socketcluster/ and signs tokens with a random key, so logins
// end with the process.
//
// A duration of zero means the default. One below a millisecond is refused,
// because it was meant to be in another unit than nanoseconds. Nothing in a
// Config may change after it has been passed to [New].
type Config struct {
	// Auth has the keys that sign and verify tokens, and the settings for all
	// tokens. Auth.Key is for HS256, Auth.PrivateKey and Auth.PublicKey are a
	// pair, and Auth.Keys are several keys that may change while the server
	// runs. Without any key a random one is made, and a warning is logged when
	// the first token is signed: such tokens end with the process, and other
	// servers do not accept them.
	//
	// Defaults besides those of [auth.Options]: MaxTokenSize is Limits.TokenSize,
	// TokenIDs is true with Revocations, and Logger is that of the server.
	Auth auth.Options

	// AuthEngine replaces the JWT engine that is made from Auth, which must
	// then be empty.
	AuthEngine auth.Engine

	// AuthMaxAge is the time after a login within which its token can be signed
	// again, by TokenRenewal, [UpdateClaims], [Socket.SetAuthTokenIf] or
	// [Server.SignAgain]. No such token lives longer; the user then has to log
	// in again. The time of the login is the claim auth_time of the token, or
	// else iat. Default: 0, which means no limit.
	AuthMaxAge time.Duration

	// TokenSources are the places of an upgrade request in which a token may
	// be. They are tried in order if the client's handshake has no token and
	// the request has no principal ([httpauth.NewContext]). The first one that
	// has a token, or an error, decides. Default: none.
	//
	// A request with a principal or an ambient token, such as a cookie, is
	// refused with 403 if it comes from a page of another origin, unless an
	// entry of Origins names its host: entries whose host is "*" do not count.
	// If the identity depends on the address of the client, the request is also
	// refused unless it is addressed to a host that Origins names, to
	// localhost, or to an IP address. See [httpauth.Origins.Trust].
	//
	// Such tokens are not renewed, because the client's scripts would see the
	// new one.
	TokenSources []httpauth.Source

	// Revocations is the store of revoked tokens. Each token that a socket gets
	// is checked once, and messages cause no checks. A revocation that is added
	// also ends the logins of connected sockets. See [Server.Revoke]. With a
	// store, tokens without a jti are signed with a random one; an AuthEngine
	// must do so itself. Default: none.
	Revocations revoke.Store

	// TokenRenewal gives every authenticated socket a new token periodically.
	// Default: off.
	TokenRenewal TokenRenewal

	// Path is the path at which the server is mounted. It is compared with that
	// of the request byte by byte, so percent-encode what is percent-encoded in
	// requests. Default: [DefaultPath].
	Path string

	// Origins lists the origins of the pages that may connect:
	// "https://app.example.com", "https://*.example.com",
	// "capacitor://localhost", or "host:port", in which either part may be "*";
	// see [httpauth.Origins]. An empty list admits all, because pages of
	// another origin cannot use tokens in localStorage. A request without an
	// Origin header does not come from a page in a browser; a list refuses it
	// unless AllowMissingOrigin is set.
	Origins            []string
	AllowMissingOrigin bool

	// TrustedProxies are the addresses or networks of your own proxies, such as
	// "::1" and "10.0.0.0/8", whose header X-Forwarded-For is trusted; "unix"
	// stands for all that connect over a Unix socket. See [Server.ClientAddr].
	// Each of them must append the address from which it received the request.
	// Default: none.
	TrustedProxies []string

	// Subprotocol selects one of the subprotocols that a client offers. offered
	// does not contain those with a token, see [httpauth.Subprotocol]. Without
	// this function, the first one offered is selected. Stock clients offer
	// none.
	Subprotocol func(offered []string, r *http.Request) string

	// ProtocolVersion is the version of the protocol at Path: 2 for clients
	// from v15 on, or 1 for older ones. Clients do not state their version.
	ProtocolVersion wire.Version

	// Protocol1Path is a second path, for version 1, while Path is for version
	// 2. The clients of both are sockets of this one server: handlers,
	// middleware and channels are the same for all. Default: none.
	Protocol1Path string

	// Codec encodes messages in another form than JSON text, such as
	// [github.com/socketcluster-go/socketcluster/wire/minbin]. All clients of
	// the server must use the same codec. Default: JSON.
	Codec wire.Codec

	// Timeouts are the times that clients, the server and its middleware have.
	Timeouts Timeouts

	// DrainRate is the number of clients that [Server.Shutdown] closes each
	// second, after as many at once at the beginning. So the servers to which
	// they connect next are not overrun, and a small server shuts down at once.
	// Stock clients also wait 10 to 20 seconds before they connect again, which
	// spreads them further. Default: [DefaultDrainRate].
	DrainRate int

	// DisableClientPublish refuses every publication by clients.
	DisableClientPublish bool

	// MuteMiddlewareFailures stops the socket from emitting an error when
	// middleware blocks an action.
	MuteMiddlewareFailures bool

	// Batching collects packets into messages.
	Batching Batching

	// Compression compresses messages for clients that offer it. Default: off.
	Compression Compression

	// Limits bounds the memory and the work that clients can cause.
	Limits Limits

	// Compat makes the server behave like socketcluster-server where this
	// package differs by default.
	Compat Compat

	// Broker carries publications. The default serves only this process.
	Broker broker.Broker

	// Logger receives records for operators. Tokens and message contents are
	// never logged. Default: slog.Default().
	Logger *slog.Logger
}

// TokenRenewal makes a server replace the tokens of its sockets before they
// expire. The new token has the claims of the old one except iat, exp, nbf and
// jti. It has a new jti, and expires after ExpiresIn.
//
// Renewal starts when a socket becomes authenticated, by login or by a token in
// its handshake, and stops when it is no longer authenticated. A token that
// came with the upgrade request (Config.TokenSources) is not replaced.
type TokenRenewal struct {
	// Every is the maximum time for which a token is kept. 0 turns renewal off;
	// the other fields must then be 0 too.
	Every time.Duration

	// ExpiresIn is the life of the new tokens. Default: the engine's default
	// expiry.
	ExpiresIn time.Duration

	// Margin is the minimum time before its end at which a token is replaced,
	// or half of its life if that is shorter. A client that is slow to accept
	// the new token, or offline for less than the margin, stays logged in.
	// Default: [DefaultRenewalMargin].
	Margin time.Duration

	// Jitter spreads renewals: each comes earlier by a random time that is less
	// than Jitter, and less than half of the wait. Without it, clients that
	// connect at the same moment, for instance after a restart, would all be
	// renewed at the same moment. Default: a tenth of Every; 1 means
	// practically none.
	Jitter time.Duration
}

// Timeouts of a [Config].
type Timeouts struct {
	// Handshake is the time within which a connection must get from the upgrade
	// to the answer to its handshake, including the verification of its token
	// and all middleware. Default: [DefaultHandshakeTimeout].
	Handshake time.Duration

	// Ack is the time for which Invoke waits for a client's answer if the
	// context has no deadline. Default: [DefaultAckTimeout].
	Ack time.Duration

	// PingInterval is the time between two pings to a client. It must be below
	// Ping. Default: [DefaultPingInterval].
	PingInterval time.Duration

	// Ping is the time for which a client may be silent. The handshake sends it
	// to clients, which apply it to the server's pings. Default:
	// [DefaultPingTimeout].
	Ping time.Duration

	// PingDisabled turns off the pings every Timeouts.PingInterval, and the
	// timeout. Clients must turn off their own timeout too
	// (pingTimeoutDisabled).
	PingDisabled bool

	// Close is the time within which a client must answer a close frame. It is
	// also the time within which the inbox must handle what a client sent
	// before it closed the connection. Default: [DefaultCloseTimeout].
	Close time.Duration

	// Reauthorize is the time within which inbound middleware must decide
	// whether subscriptions may continue after the token has changed, see
	// Compat.KeepSubscriptions. Until then their publications are withheld.
	// Subscriptions without a decision after that time are kicked out. Default:
	// [DefaultReauthorizeTimeout].
	Reauthorize time.Duration

	// Shutdown is the time that [Server.Serve] and [Server.Run] give clients
	// and requests to end. Make it a few seconds less than the time after which
	// the process is killed. [Server.Shutdown] uses its context instead.
	// Default: [DefaultShutdownTimeout].
	Shutdown time.Duration
}

// Batching of a [Config]: packets that are sent to a socket within a short time leave
// as one message. See also [Socket.StartBatch].
type Batching struct {
	// OnHandshake is the time after its handshake during which packets for a
	// socket are collected. Default: 0, which is off; socketcluster-server uses
	// 400 ms if its batchOnHandshake is set.
	OnHandshake time.Duration

	// Interval is the time for which packets are collected into one message.
	// Default: [DefaultBatchInterval].
	Interval time.Duration
}

// Compat has switches for the behaviour of socketcluster-server, where this
// package differs by default. Each of them except TokenAfterAnswer has a price.
// [auth.Options].AllowWeakKey is another such switch.
type Compat struct {
	// KeepSubscriptions lets subscriptions outlive the token that they were
	// made with, as socketcluster-server does. By default the inbound
	// middleware runs again for each of them ([Subscribe] with Again set)
	// whenever the socket's token changes, and subscriptions that it blocks are
	// kicked out. When the client logs out, those that it made with waitForAuth
	// are suspended instead, and resume with the next login.
	KeepSubscriptions bool

	// SilentUnhandledCalls leaves a call of a procedure that nobody handles
	// unanswered, as socketcluster-server does; the caller then waits for its
	// timeout. By default it is answered with an UnknownProcedureError.
	SilentUnhandledCalls bool

	// DropWaiting drops the messages in the inbox of a client that has gone,
	// and its calls and transmissions that still wait for their handlers and
	// loops, as socketcluster-server does. By default they are all handled, and
	// messages that a client sent before its close frame pass the inbox first,
	// within Timeouts.Close. If a connection is lost, the messages in its inbox
	// are dropped in any case.
	DropWaiting bool

	// LenientHandshake ignores messages that arrive before the handshake,
	// instead of closing the connection with 4009. They have no effect.
	LenientHandshake bool

	// KeepRequest keeps the upgrade request for the life of a socket. By
	// default [Socket.Request] is nil once the connect event has been handled,
	// because headers are a large part of the memory of an idle connection.
	KeepRequest bool

	// TokenAfterAnswer sends a change that a handler makes to the token of its
	// socket after the answer to the call. By default the client has its token
	// when the call is answered, so a page can continue at once. With this
	// switch a page can wait for the token after the answer:
	//
	//	await socket.invoke('login', credentials);
	//	await socket.listener('authenticate').once();
	//
	// By default it would wait forever, because the event comes before the
	// answer.
	//
	// It applies to [Socket.SetAuthToken], [Socket.SetAuthTokenIf],
	// [UpdateClaims] and [Socket.Deauthenticate] with the context of the
	// handler, one derived from it, or, in a loop, that of [Call.Context]. The
	// socket has its new token at once, and other packets to the client do not
	// wait. If the call is not answered, the client gets the token after
	// Timeouts.Ack, because stock clients wait no longer.
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

// DefaultConfig returns the settings of a server whose Config is zero, to show
// them. Some depend on the memory limit of the process. It is no start for a
// Config, whose fields should stay zero where nothing else is wanted: the defaults
// of some depend on others.
func DefaultConfig() Config {
	cfg, _ := Config{}.withDefaults() // nothing is set that could be wrong
	return cfg
}

// withDefaults returns a checked copy of c with all defaults set.
func (c Config) withDefaults() (Config, error) {
	if c.Path == "" {
		c.Path = DefaultPath
	}
	if !isPath(c.Path) {
		return c, configError("Path", "is %q; it must be the path of a URL, encoded as in a request", c.Path)
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
			return c, configError("Protocol1Path", "is %q; it must be the path of a URL, encoded as in a request", p)
		case p == c.Path:
			return c, configError("Protocol1Path", "is %q, the same as Path; to serve only version 1, set ProtocolVersion", p)
		case c.ProtocolVersion == wire.Version1:
			return c, configError("Protocol1Path", "is set while ProtocolVersion is 1; it is a second path beside the one for version 2")
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
				return c, configError(d.field, "is %v while TokenRenewal.Every is 0, so nothing is renewed; for the life of all tokens set Auth.DefaultExpiry", d.value)
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
		// A jitter may be as short as possible, because 0 means the default.
		if reason := millis.Reason(*d.value); reason != "" && d.value != &c.TokenRenewal.Jitter {
			return c, &ConfigError{Field: d.field, Reason: reason}
		}
	}
	t := &c.Timeouts
	if !t.PingDisabled && t.PingInterval >= t.Ping {
		return c, configError("Timeouts.PingInterval", "is %v; it must be less than Timeouts.Ping, which is %v: pings may be all that a server sends, and clients give up after that time", t.PingInterval, t.Ping)
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
			return c, configError("TokenSources", "has an unusable entry %d: %v", i, err)
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
		return c, configError(limitTokenSize.String(), "is %d; it must be at least %d, because no token is shorter", given, leastToken)
	}
	// A client sends its token in the handshake, and would try forever with one
	// that does not fit.
	if l := &c.Limits; l.TokenSize > l.HandshakeMessageSize-aroundToken && len(c.TokenSources) == 0 {
		if given != 0 {
			return c, configError(limitTokenSize.String(), "is %d; it must not be larger than %d, which is Limits.HandshakeMessageSize minus the %d bytes around a token, because clients send their tokens in the handshake", given, l.HandshakeMessageSize-aroundToken, aroundToken)
		}
		l.TokenSize = l.HandshakeMessageSize - aroundToken
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c, nil
}

// isPath reports whether a request may contain a path as it is.
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

package client

import (
	"compress/flate"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/internal/millis"
	"github.com/socketcluster-go/socketcluster/wire"
)

// Defaults of [Options]. The durations are those of socketcluster-client 20, except
// that of closing, which is that of this module's server.
const (
	DefaultConnectTimeout = 20 * time.Second
	DefaultAckTimeout     = 10 * time.Second
	DefaultCloseTimeout   = 3 * time.Second
)

// Options has all settings of a [Client]. The zero value works: it is that of
// socketcluster-client.
//
// A duration of zero means the default. One below a millisecond is refused,
// because it was meant to be in another unit than nanoseconds. Nothing in
// Options may change after it has been passed to [New].
type Options struct {
	// TokenStore keeps the token of a login, so that the client presents it
	// whenever it connects. Default: a [MemoryStore] of the client's own.
	TokenStore TokenStore

	// AuthTokenName is the name of the token in the store. Default:
	// "socketcluster.authToken." with the host and port of the URL, such as
	// socketcluster.authToken.localhost:8000.
	AuthTokenName string

	// Reconnect says when the client connects again.
	Reconnect Reconnect

	// Timeouts of the client.
	Timeouts Timeouts

	// Limits of what the client holds in memory.
	Limits Limits

	// ProtocolVersion is the version that the server speaks at the path of the
	// URL. Servers do not state it. Default: 2.
	ProtocolVersion wire.Version

	// Codec encodes messages in another form than JSON text, such as
	// [github.com/socketcluster-go/socketcluster/wire/minbin.Codec]. The server
	// must use the same. Its methods must not call the client. Default: JSON.
	Codec wire.Codec

	// Compression offers permessage-deflate (RFC 7692), and compresses messages
	// if the server accepts it. Its zero value turns compression off.
	Compression socketcluster.Compression

	// Batching collects packets into fewer messages. Default: only after
	// [Client.StartBatch].
	Batching Batching

	// ChannelPrefix is put in front of the names of all channels that the
	// server sees. Default: none.
	ChannelPrefix string

	// DelaySubscriptions makes the client subscribe to nothing, after each
	// connect, until [Client.ProcessPendingSubscriptions] is called. JavaScript:
	// autoSubscribeOnConnect: false.
	DelaySubscriptions bool

	// Header is sent with the upgrade request, in addition to the headers of the
	// upgrade. Host in it is sent in place of the host of the URL. Default: none.
	Header http.Header

	// TLS is for URLs that begin with wss. Default: that of crypto/tls.
	TLS *tls.Config

	// Proxy returns the HTTP proxy for a request, whose URL begins with http or
	// https, or nil. Default: [http.ProxyFromEnvironment]; with DialContext,
	// none.
	Proxy func(*http.Request) (*url.URL, error)

	// DialContext opens the connection to the server, or to the proxy: over a
	// Unix socket, for example. It must return when ctx ends, which Close waits for.
	// Default: that of [net.Dialer].
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)

	// Runtime is shared by many clients of a process: an idle one then takes less
	// than 8 KB, and no goroutine. With one of its own it takes about 25 KB and a
	// goroutine. Default: one of the client's own.
	Runtime *Runtime

	// Logger gets errors that nobody else sees: panics of handlers, and errors
	// that are kept from the server. Default: [slog.Default].
	Logger *slog.Logger
}

// Timeouts of a client.
type Timeouts struct {
	// Connect is the time within which the connection must be open, TLS and the
	// upgrade included. It is also the time within which the first ping must
	// come, until the server has announced another. Default:
	// [DefaultConnectTimeout].
	Connect time.Duration

	// Ack is the time within which the server must answer a call whose context
	// has no deadline, and the handshake. It includes the wait for a
	// connection. Default: [DefaultAckTimeout].
	Ack time.Duration

	// Close is the time within which the server must answer the close frame. After
	// [Client.Close], it is also the time within which the store must save what it
	// was given. Default: [DefaultCloseTimeout].
	Close time.Duration

	// PingDisabled makes the client not expect pings. JavaScript:
	// pingTimeoutDisabled.
	PingDisabled bool
}

// Limits bounds the memory that a client uses. Zero means the default.
type Limits struct {
	// MessageSize is the maximum size of a message from the server, in bytes,
	// decompressed. A larger one ends the connection with 1009, and so does one with more
	// than [wire.MaxDepth] levels. Default 16 MiB.
	MessageSize int

	// BatchSize is the maximum number of packets in a message. Default 10,000.
	BatchSize int

	// Outbox is the number of bytes that may wait for the server to read them.
	// Senders wait above that. If the server reads nothing for 30 seconds, the
	// connection ends. Default 1 MiB.
	Outbox int

	// Buffer is the number of bytes that may wait for a connection, with about
	// 100 for each packet. Beyond it, senders fail with [ErrBufferFull]. Default
	// 1 MiB.
	Buffer int

	// Held is the number of bytes that may wait for handlers of events,
	// procedures and receivers. Above that the client does not read, unless it
	// waits for answers: then it reads until eight times as much waits, which
	// ends the connection. Nor does it connect again. Default 1 MiB.
	Held int

	// Calls is the number of calls and transmissions that may be handled at the
	// same time. Default 256.
	Calls int

	// Queue and QueueBytes bound what waits for a loop over a channel: this
	// number of publications, and of bytes, or a single larger publication. A
	// loop that falls further behind misses the oldest publications. Default
	// 1024 and 1 MiB.
	Queue, QueueBytes int
}

// setDefaults checks the options, and sets those that are zero.
func (o *Options) setDefaults(u *url.URL) error {
	if o.AuthTokenName == "" {
		o.AuthTokenName = "socketcluster.authToken." + net.JoinHostPort(u.Hostname(), portOf(u))
	}
	if o.ProtocolVersion == 0 {
		o.ProtocolVersion = wire.Version2
	}
	if !o.ProtocolVersion.Valid() {
		return optionError("ProtocolVersion", "is %d; it must be 1 or 2", o.ProtocolVersion)
	}
	if o.Proxy == nil && o.DialContext == nil {
		o.Proxy = http.ProxyFromEnvironment
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		is    time.Duration
	}{
		{"Timeouts.Connect", &o.Timeouts.Connect, DefaultConnectTimeout},
		{"Timeouts.Ack", &o.Timeouts.Ack, DefaultAckTimeout},
		{"Timeouts.Close", &o.Timeouts.Close, DefaultCloseTimeout},
		{"Batching.Interval", &o.Batching.Interval, DefaultBatchInterval},
		{"Batching.OnHandshake", &o.Batching.OnHandshake, 0},
	} {
		if err := checkDuration(d.name, *d.value); err != nil {
			return err
		}
		if *d.value == 0 {
			*d.value = d.is
		}
	}
	for _, n := range []struct {
		name  string
		value *int
		is    int
	}{
		{"Limits.MessageSize", &o.Limits.MessageSize, 16 << 20},
		{"Limits.BatchSize", &o.Limits.BatchSize, 10_000},
		{"Limits.Outbox", &o.Limits.Outbox, 1 << 20},
		{"Limits.Buffer", &o.Limits.Buffer, 1 << 20},
		{"Limits.Held", &o.Limits.Held, 1 << 20},
		{"Limits.Calls", &o.Limits.Calls, 256},
		{"Limits.Queue", &o.Limits.Queue, 1024},
		{"Limits.QueueBytes", &o.Limits.QueueBytes, 1 << 20},
	} {
		if *n.value < 0 {
			return optionError(n.name, "is %d; it must not be negative", *n.value)
		}
		if *n.value == 0 {
			*n.value = n.is
		}
	}
	if c := &o.Compression; c.Level < 0 || c.Level > flate.BestCompression {
		return optionError("Compression.Level", "is %d; it must be from 1 to %d, or 0 for none", c.Level, flate.BestCompression)
	} else if c.Threshold <= 0 {
		c.Threshold = socketcluster.DefaultCompressionThreshold
	}
	return o.Reconnect.setDefaults()
}

func checkDuration(name string, d time.Duration) error {
	if d < 0 {
		return optionError(name, "is %v; it must not be negative", d)
	}
	if reason := millis.Reason(d); reason != "" {
		return optionError(name, "%s", reason)
	}
	return nil
}

func optionError(name, format string, args ...any) error {
	return fmt.Errorf("client: Options.%s "+format, append([]any{name}, args...)...)
}

// parseURL reads the URL of a server.
func parseURL(raw string) (*url.URL, error) {
	if !strings.Contains(raw, "://") { // which url.Parse explains badly, or takes for a scheme
		return nil, errors.New("client: the URL of the server must begin with ws:// or wss://, such as ws://localhost:8000")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("client: %w", errors.Unwrap(err)) // which may contain a password
	}
	switch strings.ToLower(u.Scheme) {
	case "ws", "http":
		u.Scheme = "ws"
	case "wss", "https":
		u.Scheme = "wss"
	default:
		return nil, fmt.Errorf("client: the URL of the server begins with %q; it must begin with ws:// or wss://", u.Scheme)
	}
	if u.Hostname() == "" {
		return nil, errors.New("client: the URL of the server has no host")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path, u.RawPath = socketcluster.DefaultPath, ""
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "wss":
		return "443"
	}
	return "80"
}

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// options are the options of socketcluster-server that this host supports, with
// their original names.
type options struct {
	AuthKey              string          `json:"authKey"`
	AuthPrivateKey       string          `json:"authPrivateKey"`
	AuthPublicKey        string          `json:"authPublicKey"`
	AuthAlgorithm        string          `json:"authAlgorithm"`
	AuthVerifyAlgorithms []string        `json:"authVerifyAlgorithms"`
	AuthDefaultExpiry    json.RawMessage `json:"authDefaultExpiry"` // seconds, or a timespan as text

	Path            string          `json:"path"`
	Origins         json.RawMessage `json:"origins"` // a list, or one entry
	ProtocolVersion int             `json:"protocolVersion"`
	StrictHandshake bool            `json:"strictHandshake"`

	HandshakeTimeout         float64 `json:"handshakeTimeout"`
	AckTimeout               float64 `json:"ackTimeout"`
	PingInterval             float64 `json:"pingInterval"`
	PingTimeout              float64 `json:"pingTimeout"`
	PingTimeoutDisabled      bool    `json:"pingTimeoutDisabled"`
	BatchOnHandshake         bool    `json:"batchOnHandshake"`
	BatchOnHandshakeDuration float64 `json:"batchOnHandshakeDuration"`
	BatchInterval            float64 `json:"batchInterval"`

	AllowClientPublish      bool   `json:"allowClientPublish"`
	MiddlewareEmitFailures  bool   `json:"middlewareEmitFailures"`
	SocketChannelLimit      int    `json:"socketChannelLimit"`
	MaxPayload              int    `json:"maxPayload"`
	SocketStreamCleanupMode string `json:"socketStreamCleanupMode"`
}

// defaults are the defaults of options of socketcluster-server. The library has
// the same durations; they are repeated here because the suites read them.
var defaults = fields{
	"authDefaultExpiry":        86400,
	"path":                     socketcluster.DefaultPath,
	"origins":                  "*:*",
	"protocolVersion":          int(wire.Version2),
	"strictHandshake":          true,
	"handshakeTimeout":         socketcluster.DefaultHandshakeTimeout.Milliseconds(),
	"ackTimeout":               socketcluster.DefaultAckTimeout.Milliseconds(),
	"pingInterval":             socketcluster.DefaultPingInterval.Milliseconds(),
	"pingTimeout":              socketcluster.DefaultPingTimeout.Milliseconds(),
	"pingTimeoutDisabled":      false,
	"batchOnHandshake":         false,
	"batchOnHandshakeDuration": 400,
	"batchInterval":            socketcluster.DefaultBatchInterval.Milliseconds(),
	"allowClientPublish":       true,
	"middlewareEmitFailures":   true,
	"perMessageDeflate":        false,
	"socketStreamCleanupMode":  "kill",
}

// reported are the options that are also properties of the server.
var reported = []string{
	"origins", "ackTimeout", "handshakeTimeout", "pingInterval", "pingTimeout", "pingTimeoutDisabled",
	"allowClientPublish", "perMessageDeflate", "socketChannelLimit", "protocolVersion", "strictHandshake",
	"middlewareEmitFailures",
}

// readOptions returns the suite's options with the defaults filled in, also as
// the fields that the suite may read.
func readOptions(raw json.RawMessage) (o options, all fields, err error) {
	all = maps.Clone(defaults)
	var given fields
	if err := json.Unmarshal(orNull(raw), &given); err != nil {
		return o, nil, fmt.Errorf("options: %w", err)
	}
	maps.Copy(all, given)
	merged, err := json.Marshal(all)
	if err != nil {
		return o, nil, err
	}
	if err := json.Unmarshal(merged, &o); err != nil {
		return o, nil, fmt.Errorf("options: %w", err)
	}
	return o, all, nil
}

// config makes the library's configuration, without its engine and broker.
func (o *options) config() (socketcluster.Config, error) {
	origins, err := o.origins()
	if err != nil {
		return socketcluster.Config{}, err
	}
	return socketcluster.Config{
		Path:    o.Path,
		Origins: origins,
		// The JavaScript server takes a missing header for port 80.
		AllowMissingOrigin: slices.Contains(origins, "*:80"),
		ProtocolVersion:    wire.Version(o.ProtocolVersion),
		Compat:             socketcluster.Compat{LenientHandshake: !o.StrictHandshake, SilentUnhandledCalls: true, KeepRequest: true},
		Timeouts: socketcluster.Timeouts{
			Handshake:    milliseconds(o.HandshakeTimeout),
			Ack:          milliseconds(o.AckTimeout),
			PingInterval: milliseconds(o.PingInterval),
			Ping:         milliseconds(o.PingTimeout),
			// The suite has clients that get no ping in time. The library
			// refuses such settings; without any pings, these clients give up
			// just the same.
			PingDisabled: o.PingTimeoutDisabled || o.PingInterval >= o.PingTimeout,
		},
		DisableClientPublish:   !o.AllowClientPublish,
		MuteMiddlewareFailures: !o.MiddlewareEmitFailures,
		Batching:               o.batching(),
		Limits:                 socketcluster.Limits{Channels: o.SocketChannelLimit, MessageSize: o.MaxPayload},
	}, nil
}

func (o *options) batching() socketcluster.Batching {
	b := socketcluster.Batching{Interval: milliseconds(o.BatchInterval)}
	if o.BatchOnHandshake {
		b.OnHandshake = milliseconds(o.BatchOnHandshakeDuration)
	}
	return b
}

func (o *options) origins() ([]string, error) {
	var list []string
	if json.Unmarshal(o.Origins, &list) == nil {
		return list, nil
	}
	var text string
	if err := json.Unmarshal(o.Origins, &text); err != nil {
		return nil, fmt.Errorf("the origins option: %w", err)
	}
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }), nil
}

// auth makes the options of the engine.
func (o *options) auth() (auth.Options, error) {
	expiry, err := o.defaultExpiry()
	if err != nil {
		return auth.Options{}, err
	}
	return auth.Options{
		Key:              o.AuthKey,
		PrivateKey:       []byte(o.AuthPrivateKey),
		PublicKey:        []byte(o.AuthPublicKey),
		Algorithm:        o.AuthAlgorithm,
		VerifyAlgorithms: o.AuthVerifyAlgorithms,
		DefaultExpiry:    expiry,
		AllowWeakKey:     true,
	}, nil
}

func (o *options) defaultExpiry() (time.Duration, error) {
	if string(o.AuthDefaultExpiry) == "null" {
		return -1, nil // none, see QK-21
	}
	var span timespan
	if err := json.Unmarshal(o.AuthDefaultExpiry, &span); err != nil {
		return 0, fmt.Errorf("the authDefaultExpiry option: %w", err)
	}
	return time.Duration(span), nil
}

func milliseconds(n float64) time.Duration { return time.Duration(n * float64(time.Millisecond)) }

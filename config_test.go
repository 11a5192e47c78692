package socketcluster_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/httpauth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/broker/mem"
	"github.com/socketcluster-go/socketcluster/wire"
	"github.com/socketcluster-go/socketcluster/wire/minbin"
)

// Each field that cannot be used is refused, and named.
func TestConfigErrors(t *testing.T) {
	type config = socketcluster.Config
	type limits = socketcluster.Limits
	renewal := func(every, life time.Duration) socketcluster.TokenRenewal {
		return socketcluster.TokenRenewal{Every: every, ExpiresIn: life}
	}
	engine := failingEngine{}
	for _, test := range []struct {
		field string
		cfg   config
	}{
		{"Path", config{Path: "socketcluster/"}},
		{"ProtocolVersion", config{ProtocolVersion: 3}},
		{"Protocol1Path", config{Protocol1Path: "v14/"}},
		{"Protocol1Path", config{Protocol1Path: socketcluster.DefaultPath}},
		{"Protocol1Path", config{Protocol1Path: "/v14/", ProtocolVersion: wire.Version1}},
		{"Timeouts.Handshake", config{Timeouts: socketcluster.Timeouts{Handshake: -1}}},
		{"Timeouts.Ack", config{Timeouts: socketcluster.Timeouts{Ack: -1}}},
		{"Timeouts.PingInterval", config{Timeouts: socketcluster.Timeouts{PingInterval: -1}}},
		{"Timeouts.Ping", config{Timeouts: socketcluster.Timeouts{Ping: -1}}},
		{"Timeouts.Ping", config{Timeouts: socketcluster.Timeouts{Ping: time.Microsecond}}},
		{"Timeouts.Ping", config{Timeouts: socketcluster.Timeouts{Ping: (math.MaxInt32 + 1) * time.Millisecond}}},
		{"Timeouts.Close", config{Timeouts: socketcluster.Timeouts{Close: -1}}},
		{"Batching.OnHandshake", config{Batching: socketcluster.Batching{OnHandshake: -1}}},
		{"Batching.Interval", config{Batching: socketcluster.Batching{Interval: -1}}},
		{"TokenRenewal.Every", config{TokenRenewal: renewal(-1, 0)}},
		{"TokenRenewal.ExpiresIn", config{TokenRenewal: renewal(time.Hour, -1)}},
		{"TokenRenewal.ExpiresIn", config{TokenRenewal: renewal(time.Hour, time.Millisecond)}},
		{"TokenRenewal.ExpiresIn", config{TokenRenewal: renewal(time.Hour, 1999*time.Millisecond)}},
		{"TokenRenewal.Margin", config{TokenRenewal: socketcluster.TokenRenewal{Every: time.Hour, Margin: -1}}},
		{"TokenRenewal.Jitter", config{TokenRenewal: socketcluster.TokenRenewal{Every: time.Hour, Jitter: -1}}},
		{"AuthEngine", config{AuthEngine: engine, Auth: auth.Options{Key: testKey}}},
		{"AuthEngine", config{AuthEngine: engine, Auth: auth.Options{PrivateKey: []byte("x")}}},
		{"AuthEngine", config{AuthEngine: engine, Auth: auth.Options{PublicKey: []byte("x")}}},
		{"AuthEngine", config{AuthEngine: engine, Auth: auth.Options{Algorithm: "HS256"}}},
		{"AuthEngine", config{AuthEngine: engine, Auth: auth.Options{VerifyAlgorithms: []string{"HS256"}}}},
		{"AuthEngine", config{AuthEngine: engine, Auth: auth.Options{DefaultExpiry: time.Hour}}},
		{"DrainRate", config{DrainRate: -1}},
		{"Auth.DefaultExpiry", config{Auth: auth.Options{DefaultExpiry: time.Millisecond}}},
		{"AuthEngine", config{AuthEngine: engine, Auth: auth.Options{ClockTolerance: time.Second}}},
		{"Auth.ClockTolerance", config{Auth: auth.Options{ClockTolerance: -1}}},
		{"Auth.ClockTolerance", config{Auth: auth.Options{ClockTolerance: time.Minute + 1}}},
		{"Path", config{Path: "/a b"}},
		{"Path", config{Path: "/a?x"}},
		{"Limits.Depth", config{Limits: socketcluster.Limits{Depth: 1_000_000}}},
		{"Limits.HandshakeMessageSize", config{Limits: socketcluster.Limits{HandshakeMessageSize: 2 << 20}}},
		{"AuthEngine", config{AuthEngine: engine, Auth: auth.Options{AllowWeakKey: true}}},
		{"AuthEngine", config{AuthEngine: engine, Auth: auth.Options{Keys: &auth.KeyRing{}}}},
		{"TokenSources", config{TokenSources: []httpauth.Source{httpauth.Bearer(), {}}}},
		{"TokenSources", config{TokenSources: []httpauth.Source{httpauth.Cookie("a b")}}},
		{"Origins", config{Origins: []string{"*:*", "a.com"}}},
		{"Origins", config{Origins: []string{""}}},
		{"Origins", config{Origins: []string{":80"}}},
		{"Origins", config{Origins: []string{"a.com:"}}},
		{"Origins", config{Origins: []string{"wss://a.com"}}},
		{"Origins", config{Origins: []string{"a.com:80,b.com:80"}}},
		{"Origins", config{Origins: []string{"a.com:80 b.com:80"}}},
		{"Origins", config{Origins: []string{"a.com:http"}}},
		{"Origins", config{Origins: []string{"a.com:0"}}},
		{"Origins", config{Origins: []string{"a.com:080"}}},
		{"TrustedProxies", config{TrustedProxies: []string{"proxy"}}},
		{"Origins", config{Origins: []string{"a.com:65536"}}},
		{"Origins", config{Origins: []string{"user@a.com:443"}}},
		{"Limits.MessageSize", config{Limits: limits{MessageSize: -1}}},
		{"Limits.MessageSize", config{Limits: limits{MessageSize: 10_001, Budget: 10_000}}},
		{"Limits.TokenSize", config{Limits: limits{TokenSize: 64<<10 - 127}}},
		{"Limits.TokenSize", config{Limits: limits{TokenSize: 873, HandshakeMessageSize: 1000}}},
		// Nobody could connect, or log in.
		{"Limits.Budget", config{Limits: limits{Budget: 8<<10 - 1}}},
		{"Limits.MessageSize", config{Limits: limits{MessageSize: 287}}},
		{"Limits.HandshakeMessageSize", config{Limits: limits{HandshakeMessageSize: 287}}},
		{"Limits.Depth", config{Limits: limits{Depth: 2}}},
		{"Limits.TokenSize", config{Limits: limits{TokenSize: 159}}},
		{"Limits.TokenSize", config{Limits: limits{TokenSize: 159}, TokenSources: []httpauth.Source{httpauth.Bearer()}}},
		// Values that could never be reached.
		{"Limits.ChannelName", config{Limits: limits{ChannelName: 1<<20 + 1}}},
		{"Limits.SubscriptionData", config{Limits: limits{SubscriptionData: 2001, MessageSize: 2000}}},
		{"Limits.ConnectionsPerAddress", config{Limits: limits{Connections: 1, ConnectionsPerAddress: 2}}},
		{"TokenRenewal.ExpiresIn", config{TokenRenewal: renewal(0, time.Hour)}},
		{"TokenRenewal.Margin", config{TokenRenewal: socketcluster.TokenRenewal{Margin: time.Minute}}},
		{"TokenRenewal.Jitter", config{TokenRenewal: socketcluster.TokenRenewal{Jitter: 1}}},
		// Without pings in time, clients come and go forever.
		{"Timeouts.PingInterval", config{Timeouts: socketcluster.Timeouts{PingInterval: 30 * time.Second}}},
		{"Timeouts.PingInterval", config{Timeouts: socketcluster.Timeouts{PingInterval: time.Minute}}},
		{"Timeouts.PingInterval", config{Timeouts: socketcluster.Timeouts{Ping: 8 * time.Second}}},
		// Values that a function has returned with an error that nobody has
		// checked.
		{"AuthEngine", config{AuthEngine: (*auth.JWT)(nil)}},
		{"Revocations", config{Revocations: (*revoke.Memory)(nil)}},
		{"Broker", config{Broker: (*mem.Broker)(nil)}},
		{"Codec", config{Codec: (*minbin.Codec)(nil)}},
		{"Limits.HandshakeMessageSize", config{Limits: limits{HandshakeMessageSize: -1}}},
		{"Limits.Fragments", config{Limits: limits{Fragments: -1}}},
		{"Limits.BatchSize", config{Limits: limits{BatchSize: -1}}},
		{"Limits.Depth", config{Limits: limits{Depth: -1}}},
		{"Limits.Channels", config{Limits: limits{Channels: -1}}},
		{"Limits.ChannelName", config{Limits: limits{ChannelName: -1}}},
		{"Limits.TokenSize", config{Limits: limits{TokenSize: -1}}},
		{"Limits.Inbox", config{Limits: limits{Inbox: -1}}},
		{"Limits.Calls", config{Limits: limits{Calls: -1}}},
		{"Limits.Outbox", config{Limits: limits{Outbox: -1}}},
		{"Limits.OutboxDrain", config{Limits: limits{OutboxDrain: -1}}},
		{"Limits.OutboxStall", config{Limits: limits{OutboxStall: -1}}},
		{"Limits.ErrorText", config{Limits: limits{ErrorText: -1}}},
	} {
		srv, err := socketcluster.New(test.cfg)
		var wrong *socketcluster.ConfigError
		if srv != nil || !errors.As(err, &wrong) || wrong.Field != test.field {
			t.Errorf("%s: got %v", test.field, err)
			continue
		}
		if text := err.Error(); !strings.HasPrefix(text, "socketcluster: Config."+test.field+" ") || strings.Contains(text, testKey) {
			t.Errorf("%s: text %q", test.field, text)
		}
	}
	// AUTH-6, AUTH-7, QK-20, QK-22: what the engine refuses.
	for _, test := range []struct {
		field string
		cfg   config
	}{
		{"Auth.Key", config{Auth: auth.Options{Key: "short"}}},
		{"Auth.Algorithm", config{Auth: auth.Options{Key: testKey, Algorithm: "RS256"}}},
		{"Auth.Algorithm", config{Auth: auth.Options{Key: testKey, Algorithm: "none"}}},
		{"Auth.VerifyAlgorithms", config{Auth: auth.Options{Key: testKey, VerifyAlgorithms: []string{"none"}}}},
		{"Auth.PrivateKey", config{Auth: auth.Options{PublicKey: []byte("x")}}},
		{"Auth.PublicKey", config{Auth: auth.Options{PrivateKey: []byte("x")}}},
		{"Auth.PrivateKey", config{Auth: auth.Options{PrivateKey: []byte("x"), PublicKey: []byte("x")}}},
	} {
		_, err := socketcluster.New(test.cfg)
		var wrong *socketcluster.ConfigError
		if !errors.As(err, &wrong) || wrong.Field != test.field || !errors.Is(err, wire.ErrInvalidOptions) {
			t.Errorf("%s: got %v", test.field, err)
		}
	}
}

// Every field of Limits has a case above: a new one needs its own.
func TestLimitsAreChecked(t *testing.T) {
	typ := reflect.TypeFor[socketcluster.Limits]()
	for i := range typ.NumField() {
		var l socketcluster.Limits
		reflect.ValueOf(&l).Elem().Field(i).SetInt(-1)
		var wrong *socketcluster.ConfigError
		if _, err := socketcluster.New(socketcluster.Config{Limits: l}); !errors.As(err, &wrong) || wrong.Field != "Limits."+typ.Field(i).Name {
			t.Errorf("%s: got %v", typ.Field(i).Name, err)
		}
	}
}

// A number without a unit, which counts nanoseconds, is refused in every field that
// is a time. A new one is in this by itself.
func TestDurationsHaveAUnit(t *testing.T) {
	type config = socketcluster.Config
	check := func(name string, field func(*config) reflect.Value) {
		cfg := config{Auth: auth.Options{Key: testKey}}
		cfg.TokenRenewal.Every = time.Hour
		field(&cfg).SetInt(8000)
		_, err := socketcluster.New(cfg)
		bad, _ := errors.AsType[*socketcluster.ConfigError](err)
		if bad == nil || bad.Field != name {
			t.Errorf("%s: got %v", name, err)
		}
	}
	times := 0
	for prefix, typ := range map[string]reflect.Type{
		"": reflect.TypeFor[config](), "TokenRenewal": reflect.TypeFor[socketcluster.TokenRenewal](),
		"Limits": reflect.TypeFor[socketcluster.Limits](), "Timeouts": reflect.TypeFor[socketcluster.Timeouts](),
		"Batching": reflect.TypeFor[socketcluster.Batching](), "Auth": reflect.TypeFor[auth.Options](),
	} {
		for _, f := range reflect.VisibleFields(typ) {
			name := strings.TrimPrefix(prefix+"."+f.Name, ".")
			if f.Type != reflect.TypeFor[time.Duration]() || name == "TokenRenewal.Jitter" { // 1 is none
				continue
			}
			times++
			check(name, func(cfg *config) reflect.Value {
				v := reflect.ValueOf(cfg).Elem()
				if prefix != "" {
					v = v.FieldByName(prefix)
				}
				return v.FieldByIndex(f.Index)
			})
		}
	}
	if times < 12 {
		t.Errorf("%d fields are times", times)
	}
}

// Consistent settings are accepted.
func TestConfigThatWorks(t *testing.T) {
	for name, cfg := range map[string]socketcluster.Config{
		"no pings":                         {Timeouts: socketcluster.Timeouts{PingDisabled: true, PingInterval: time.Minute, Ping: time.Second}},
		"pings in the last moment":         {Timeouts: socketcluster.Timeouts{PingInterval: 29999 * time.Millisecond}},
		"the shortest times":               {Timeouts: socketcluster.Timeouts{PingInterval: time.Millisecond, Ping: 2 * time.Millisecond}},
		"a renewal without a jitter":       {TokenRenewal: socketcluster.TokenRenewal{Every: time.Hour, Jitter: 1}},
		"small messages":                   {Limits: socketcluster.Limits{MessageSize: 288}},
		"flat messages":                    {Limits: socketcluster.Limits{Depth: 3}},
		"a small machine":                  {Limits: socketcluster.Limits{Budget: 16 << 10, ConnectionsPerAddress: 10_000}},
		"short tokens of another kind":     {AuthEngine: failingEngine{}, Limits: socketcluster.Limits{TokenSize: 10}},
		"a small budget":                   {Limits: socketcluster.Limits{Budget: 8 << 10}},
		"tokens as large as a handshake":   {Limits: socketcluster.Limits{TokenSize: 64<<10 - 128}},
		"large tokens in upgrade requests": {TokenSources: []httpauth.Source{httpauth.Bearer()}, Limits: socketcluster.Limits{TokenSize: 100_000}},
	} {
		if cfg.AuthEngine == nil {
			cfg.Auth.Key = testKey
		}
		srv, err := socketcluster.New(cfg)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		srv.Close()
	}
}

// With the least limits that are let pass a client connects, logs in, and does what
// clients do.
func TestLeastLimits(t *testing.T) {
	cfg := socketcluster.Config{Limits: socketcluster.Limits{Budget: 8 << 10, MessageSize: 288, Depth: 3}}
	inBubble(t, cfg, func(w *world) {
		w.srv.Handle("echo", socketcluster.Func(echo))
		token, err := w.srv.Auth().Sign(t.Context(), struct{}{})
		if err != nil {
			t.Fatal(err)
		}
		p, status := w.connect(quote(token.Signed()))
		if status["isAuthenticated"] != true {
			t.Errorf("not authenticated: %v", status)
		}
		p.send(`[{"event":"#subscribe","data":{"channel":"a"},"cid":2}]`)
		p.want(`{"rid":2}`)
		p.send(`[{"event":"echo","data":{"a":1},"cid":3}]`)
		p.want(`{"rid":3,"data":{"a":1}}`)
	})
}

// A token that would not fit into a handshake is not made: its client could not
// come back with it.
func TestTokensFitIntoTheHandshake(t *testing.T) {
	cfg := socketcluster.Config{Auth: auth.Options{Key: testKey}, Limits: socketcluster.Limits{HandshakeMessageSize: 1000}}
	for _, fits := range []bool{false, true} {
		if fits {
			cfg.TokenSources = []httpauth.Source{httpauth.Bearer()}
		}
		srv, err := socketcluster.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer srv.Close()
		if _, err := srv.Auth().Sign(t.Context(), map[string]any{"a": strings.Repeat("a", 1000)}); (err == nil) != fits {
			t.Errorf("with token sources %t: %v", fits, err)
		}
	}
}

// A client with the largest possible token can connect, in both versions of the
// protocol.
func TestLargestTokenComesBack(t *testing.T) {
	for _, version := range []wire.Version{wire.Version1, wire.Version2} {
		cfg := socketcluster.Config{ProtocolVersion: version, Limits: socketcluster.Limits{HandshakeMessageSize: 4096}}
		inBubble(t, cfg, func(w *world) {
			var largest string
			for n := 1; ; n++ {
				token, err := w.srv.Auth().Sign(t.Context(), map[string]any{"a": strings.Repeat("a", n)})
				if err != nil {
					break
				}
				largest = token.Signed()
			}
			if len(largest) < 4096-128-4 {
				t.Errorf("version %d: the largest token has %d bytes", version, len(largest))
			}
			w.connect(quote(largest))
			if w.only().AuthToken().Signed() != largest {
				t.Errorf("version %d: its owner is not logged in", version)
			}
		})
	}
}

// QK-20: weak keys may be asked for.
func TestWeakKey(t *testing.T) {
	srv, err := socketcluster.New(socketcluster.Config{Auth: auth.Options{Key: "short", AllowWeakKey: true}})
	if err != nil {
		t.Fatal(err)
	}
	srv.Close()
}

// AUTH-5, QK-48: the zero value works, and the log is warned that its key is random
// once tokens are signed with it. The key itself is not logged.
func TestZeroConfig(t *testing.T) {
	var logs bytes.Buffer
	srv, err := socketcluster.New(socketcluster.Config{Logger: slog.New(slog.NewTextHandler(&logs, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	if _, err := srv.Auth().Verify(context.Background(), "a.b.c"); err == nil || logs.Len() > 0 {
		t.Errorf("without tokens: %v, logged %s", err, logs.String())
	}
	token, err := srv.Auth().Sign(context.Background(), map[string]any{"a": 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := srv.Auth().Verify(context.Background(), token.Signed()); err != nil {
		t.Error(err)
	}
	if !strings.Contains(logs.String(), "Options.Key is not set") || strings.Contains(logs.String(), srv.Auth().(*auth.JWT).GeneratedKey()) {
		t.Errorf("logged %s", logs.String())
	}
	other, err := socketcluster.New(socketcluster.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.Auth().Verify(context.Background(), token.Signed()); err == nil {
		t.Error("two servers made the same key")
	}
}

// Every limit has a default, and so has what else is shown.
func TestDefaultConfig(t *testing.T) {
	cfg := socketcluster.DefaultConfig()
	if cfg.Timeouts.Ping != socketcluster.DefaultPingTimeout || cfg.DrainRate != socketcluster.DefaultDrainRate || cfg.Compression.Threshold != socketcluster.DefaultCompressionThreshold {
		t.Errorf("got %+v, %d, %+v", cfg.Timeouts, cfg.DrainRate, cfg.Compression)
	}
	limits := reflect.ValueOf(cfg.Limits)
	for i := range limits.NumField() {
		if limits.Field(i).IsZero() {
			t.Errorf("Limits.%s has no default", limits.Type().Field(i).Name)
		}
	}
}

// The defaults are those of socketcluster-server.
func TestDefaults(t *testing.T) {
	for name, test := range map[string][2]any{
		"path":              {socketcluster.DefaultPath, "/socketcluster/"},
		"handshake timeout": {socketcluster.DefaultHandshakeTimeout, 10 * time.Second},
		"ack timeout":       {socketcluster.DefaultAckTimeout, 10 * time.Second},
		"ping interval":     {socketcluster.DefaultPingInterval, 8 * time.Second},
		"ping timeout":      {socketcluster.DefaultPingTimeout, 30 * time.Second},
		"batch interval":    {socketcluster.DefaultBatchInterval, 50 * time.Millisecond},
	} {
		if test[0] != test[1] {
			t.Errorf("%s: %v, want %v", name, test[0], test[1])
		}
	}
}

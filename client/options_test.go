package client_test

import (
	"context"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/wire"
)

// Where a URL leads: path, query, host and credentials of the upgrade request (CL-1, CL-3,
// TR-1).
func TestURL(t *testing.T) {
	for url, want := range map[string]struct{ dialed, request, host, shown string }{
		"ws://h":                            {"h:80", "/socketcluster/", "h", "ws://h/socketcluster/"},
		"ws://h/":                           {"h:80", "/socketcluster/", "h", "ws://h/socketcluster/"},
		"http://h:99/p/":                    {"h:99", "/p/", "h:99", "ws://h:99/p/"},
		"ws://127.0.0.1:8000?a=1&b=x&b=y+z": {"127.0.0.1:8000", "/socketcluster/?a=1&b=x&b=y+z", "127.0.0.1:8000", "ws://127.0.0.1:8000/socketcluster/"},
		"ws://user:secret@h:80/p%2Fq#f":     {"h:80", "/p%2Fq", "h:80", "ws://h:80/p%2Fq"},
		"WS://[::1]:8000":                   {"[::1]:8000", "/socketcluster/", "[::1]:8000", "ws://[::1]:8000/socketcluster/"},
	} {
		withFake(t, func(t *testing.T, s *fake) {
			dial := dialer(s.listen)
			var dialed string
			c, err := client.New(url, client.Options{
				Header: http.Header{"X-App": {"1"}, "Upgrade": {"no"}},
				DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
					dialed = addr
					return dial(ctx, network, addr)
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			if c.URL() != want.shown {
				t.Errorf("%s: shown as %s", url, c.URL())
			}
			connecting(c)
			_, r := s.raw()
			if dialed != want.dialed || r.RequestURI != want.request || r.Host != want.host || r.Header.Get("X-App") != "1" || r.Header.Get("Upgrade") != "websocket" {
				t.Errorf("%s: %s %s %s %v", url, dialed, r.RequestURI, r.Host, r.Header)
			}
			if user, password, ok := r.BasicAuth(); ok != strings.Contains(url, "@") || ok && user+password != "usersecret" {
				t.Errorf("%s: %s %s", url, user, password)
			}
			if r.Header.Get("Sec-WebSocket-Protocol") != "" || r.Header.Get("Sec-WebSocket-Extensions") != "" { // TR-6, TR-7
				t.Errorf("%v", r.Header)
			}
		})
	}
	for _, url := range []string{"", "h", "h:80", "ftp://h", "ws://", "ws://:80", "ws://h:port", "ws://user:secret@h:port", "://", "ws://h\n"} {
		if _, err := client.New(url, client.Options{}); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// The zero value has the defaults of the JavaScript client, and values that cannot be meant
// are refused (CL-1, CL-2).
func TestOptions(t *testing.T) {
	if client.DefaultConnectTimeout != 20*time.Second || client.DefaultAckTimeout != 10*time.Second ||
		client.DefaultInitialDelay != 10*time.Second || client.DefaultRandomness != 10*time.Second ||
		client.DefaultMultiplier != 1.5 || client.DefaultMaxDelay != time.Minute {
		t.Error("other defaults")
	}
	for name, o := range map[string]client.Options{
		"Options.Timeouts.Connect":   {Timeouts: client.Timeouts{Connect: -1}},
		"Options.Timeouts.Ack":       {Timeouts: client.Timeouts{Ack: 20}}, // milliseconds
		"Options.Timeouts.Close":     {Timeouts: client.Timeouts{Close: -time.Second}},
		"Options.ProtocolVersion":    {ProtocolVersion: 3},
		"Options.Limits.MessageSize": {Limits: client.Limits{MessageSize: -1}},
		"Options.Limits.BatchSize":   {Limits: client.Limits{BatchSize: -1}},
		"Options.Limits.Outbox":      {Limits: client.Limits{Outbox: -1}},
		"Options.Limits.Buffer":      {Limits: client.Limits{Buffer: -1}},
		"Options.Limits.Held":        {Limits: client.Limits{Held: -1}},
		"Options.Limits.Calls":       {Limits: client.Limits{Calls: -1}},
		"Options.Limits.Queue":       {Limits: client.Limits{Queue: -1}},
		"Options.Limits.QueueBytes":  {Limits: client.Limits{QueueBytes: -1}},
		"Options.Compression.Level":  {Compression: socketcluster.Compression{Level: 10}},
		"Options.Reconnect.MaxDelay": {Reconnect: client.Reconnect{MaxDelay: -1}},
	} {
		if _, err := client.New(serverURL, o); err == nil || !strings.Contains(err.Error(), name+" ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Every property and method of the JavaScript client that Go developers need has a twin
// (CL-4, CL-31, CL-32, API-5). The others are options, or parts of events, or what Go and
// the packages of this module have already, such as base64.
func TestAPI(t *testing.T) {
	typ := reflect.TypeFor[*client.Client]()
	for _, name := range []string{
		"ID", "URL", "State", "AuthState", "AuthToken", "SignedAuthToken", "NextAttempt", "Stats",
		"Connect", "Disconnect", "Reconnect", "Close",
		"Transmit", "Invoke", "Send", "SendBinary", "TransmitPublish", "Publish",
		"Authenticate", "Deauthenticate",
		"Subscribe", "Unsubscribe", "Subscriptions", "PendingSubscriptions", "IsSubscribed", "ChannelState", "ProcessPendingSubscriptions",
		"Handle", "HandleDefault", "Receive", "ReceiveDefault",
	} {
		if _, ok := typ.MethodByName(name); !ok {
			t.Errorf("there is no %s", name)
		}
	}
}

// What a client and a socket of the server have both, has the same form in both.
func TestSameFormsAsSocket(t *testing.T) {
	others := map[string]string{
		"Deauthenticate": "it waits for the store of tokens",
		"StartBatch":     "each package has its Batch",
		"StartBatching":  "each package has its Batch",
		"Stats":          "they have other figures",
	}
	form := func(m reflect.Method) string { // without the receiver
		in, out := []string{}, []string{}
		for p := range m.Type.Ins() {
			in = append(in, p.String())
		}
		for r := range m.Type.Outs() {
			out = append(out, r.String())
		}
		return strings.Join(in[1:], ", ") + " -> " + strings.Join(out, ", ")
	}
	same := 0
	for ours := range reflect.TypeFor[*client.Client]().Methods() {
		theirs, ok := reflect.TypeFor[*socketcluster.Socket]().MethodByName(ours.Name)
		if !ok {
			continue
		}
		if a, b := form(ours), form(theirs); (a == b) == (others[ours.Name] != "") {
			t.Errorf("%s of a client is %s, of a socket %s", ours.Name, a, b)
		}
		same++
	}
	if same < 15 {
		t.Errorf("%d methods of the same name", same)
	}
}

// All events exist, and only those (CL-33). record, which listens to all but message, has
// them by their JavaScript names.
func TestEvents(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c := s.new(client.Options{Reconnect: client.Reconnect{Disabled: true}})
		r := record(t, c)
		messages := 0
		off := client.On(c, func(client.MessageEvent) { messages++ })
		p := s.connectTo(c)
		subscribe(t, c, "a")
		subscribe(t, c, "b")
		p.send(`{"rid":2}`, `{"rid":3,"error":"no"}`, `raw`, `{"event":"#setAuthToken","data":{"token":"a.b.c"}}`,
			`{"event":"#removeAuthToken"}`, `{"event":"#kickOut","data":{"channel":"a"}}`)
		p.write(closing(4444, ""))
		var names []string
		for _, e := range r.take() {
			name, _, _ := strings.Cut(e, " ")
			names = append(names, name)
		}
		connecting(c)
		s.raw()
		if err := c.Disconnect(0, ""); err != nil {
			t.Fatal(err)
		}
		for _, e := range r.take() {
			name, _, _ := strings.Cut(e, " ")
			names = append(names, name)
		}
		slices.Sort(names)
		if got := strings.Join(slices.Compact(names), " "); got != "authStateChange authenticate close connect connectAbort connecting deauthenticate disconnect error kickOut raw removeAuthToken subscribe subscribeFail subscribeRequest subscribeStateChange unsubscribe" {
			t.Error(got)
		}
		if messages != 7 {
			t.Errorf("%d messages", messages)
		}
		off()
		off()
	})
}

// Mistakes that the type system does not find panic at once.
func TestPanics(t *testing.T) {
	c, err := client.New(serverURL, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	h := socketcluster.HandlerFunc(func(context.Context, *socketcluster.Call) (any, error) { return nil, nil })
	for name, f := range map[string]func(){
		"On(Event)":          func() { client.On(c, func(client.Event) {}) },
		"On(nil)":            func() { client.On[client.ConnectEvent](c, nil) },
		"Handle(nil)":        func() { c.Handle("p", nil) },
		"Handle(nil func)":   func() { c.Handle("p", socketcluster.HandlerFunc(nil)) },
		"Handle(own)":        func() { c.Handle("#setAuthToken", h) },
		"HandleDefault(nil)": func() { c.HandleDefault(nil) },
		"Receive(nil)":       func() { c.Receive("p", nil) },
		"Receive(own)": func() {
			c.Receive("#publish", socketcluster.ReceiverFunc(func(context.Context, *socketcluster.Transmission) error { return nil }))
		},
		"ReceiveDefault(nil)": func() { c.ReceiveDefault(nil) },
	} {
		func() {
			defer func() {
				if v := recover(); v == nil || !strings.HasPrefix(v.(string), "client: ") {
					t.Errorf("%s: %v", name, v)
				}
			}()
			f()
		}()
	}
}

// A client that has never been connected leaves nothing.
func TestUnused(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		store := new(client.MemoryStore)
		c := s.new(client.Options{TokenStore: store, AuthTokenName: "t"})
		if c.ID() != "" || c.State() != socketcluster.Closed || c.Stats() != (client.Stats{}) {
			t.Error(c.State())
		}
		if _, ok := c.NextAttempt(); ok {
			t.Error("an attempt is pending")
		}
		if err := c.Disconnect(wire.CloseNormal, ""); err != nil {
			t.Error(err)
		}
		c.Close()
		store.Save(t.Context(), "t", "x")
		c.Close()
	})
}

package socketcluster_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/httpauth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/broker/mem"
	"github.com/socketcluster-go/socketcluster/wire"
)

// What has been published is also kept elsewhere.
func ExamplePublishEvent() {
	srv, err := socketcluster.New(socketcluster.Config{})
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	socketcluster.On(srv, func(e socketcluster.PublishEvent) {
		fmt.Printf("%s has %s\n", e.Channel, e.Data) // e.Socket has published it; nil is the server
	})
	if err := srv.Exchange().Publish(context.Background(), "news", "hello"); err != nil {
		panic(err)
	}
	// Output: news has "hello"
}

// Logins, logouts and failures go to a log, together with events of the
// application.
func ExampleAuditLog() {
	srv, err := socketcluster.New(socketcluster.Config{Auth: auth.Options{Key: "at least 32 bytes that nobody guesses"}})
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTimes}))
	socketcluster.On(srv, socketcluster.AuditLog(log))

	srv.Audit(socketcluster.AuditEvent{Kind: "passwordChanged", User: "alice", Address: netip.MustParseAddr("192.0.2.1")})
	// Output: level=INFO msg=audit kind=passwordChanged address=192.0.2.1 user=alice
}

func withoutTimes(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindTime {
		return slog.Attr{}
	}
	return a
}

func ExampleServer_ClientAddr() {
	srv, err := socketcluster.New(socketcluster.Config{
		Auth:           auth.Options{Key: "at least 32 bytes that nobody guesses"},
		TrustedProxies: []string{"10.0.0.0/8"},
	})
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	r := &http.Request{RemoteAddr: "10.0.0.1:51234", Header: http.Header{"X-Forwarded-For": {"127.0.0.1, 192.0.2.1"}}}
	fmt.Println(srv.ClientAddr(r)) // what stands before the client's address is invented
	// Output: 192.0.2.1
}

// A server that compresses messages of 2000 bytes and more for those who offer it.
func ExampleCompression() {
	srv, err := socketcluster.New(socketcluster.Config{
		Auth:        auth.Options{Key: strings.Repeat("k", 32)},
		Compression: socketcluster.Compression{Level: 1, Threshold: 2000},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	web := httptest.NewServer(srv)
	defer web.Close()

	r, _ := http.NewRequest("GET", web.URL+socketcluster.DefaultPath, nil)
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
		"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits", // as browsers do
	} {
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.StatusCode, resp.Header.Get("Sec-WebSocket-Extensions"))
	// Output: 101 permessage-deflate; server_no_context_takeover; client_no_context_takeover
}

// Each limit has a default and a counter. The counters show which limit a
// server runs into, for alerts and for whoever exports metrics.
func ExampleServer_Stats() {
	srv := exampleServer(socketcluster.Config{
		Limits: socketcluster.Limits{
			Budget:   256 << 20, // bytes of all sockets together
			Channels: 1,
		},
	})
	client := connectExample(srv)
	defer client.close()
	client.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
	client.next()
	client.send(`{"event":"#subscribe","data":{"channel":"b"},"cid":3}`)
	client.next()

	stats := srv.Stats()
	fmt.Println("clients:", stats.Clients)
	for _, name := range slices.Sorted(maps.Keys(stats.LimitHits)) {
		if n := stats.LimitHits[name]; n > 0 {
			fmt.Println(name, n)
		}
	}
	// Output:
	// clients: 1
	// Limits.Channels 1
}

// A wrap sees each call with its answer, its error and the time that it takes, and
// decides on its context: metrics, traces, logs and deadlines are made of that.
func ExampleServer_WrapHandlers() {
	srv := exampleServer(socketcluster.Config{})
	done := make(chan string, 1)
	srv.WrapHandlers(func(next socketcluster.Handler) socketcluster.Handler {
		return socketcluster.HandlerFunc(func(ctx context.Context, c *socketcluster.Call) (any, error) {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			began := time.Now()
			answer, err := next.ServeCall(ctx, c)
			done <- fmt.Sprintln(c.Procedure, answer, err, time.Since(began) < time.Second)
			return answer, err
		})
	})
	srv.Handle("add", socketcluster.Func(func(ctx context.Context, in [2]int) (int, error) {
		return in[0] + in[1], nil
	}))

	client := connectExample(srv)
	defer client.close()
	client.send(`{"event":"add","data":[3,4],"cid":2}`)
	fmt.Println(client.next())
	fmt.Print(<-done)
	// Output:
	// {"rid":2,"data":7}
	// add 7 <nil> true
}

// A key keeps values of one kind with sockets.
func ExampleKey() {
	var language socketcluster.Key[string] // a variable of the package, as a rule
	srv := exampleServer(socketcluster.Config{})
	srv.Handle("speak", socketcluster.Proc(func(ctx context.Context, lang string) error {
		language.Set(socketcluster.FromContext(ctx), lang)
		return nil
	}))
	srv.Handle("greet", socketcluster.Func(func(ctx context.Context, _ socketcluster.None) (string, error) {
		if lang, _ := language.Get(socketcluster.FromContext(ctx)); lang == "de" {
			return "Guten Tag", nil
		}
		return "Hello", nil
	}))

	client := connectExample(srv)
	defer client.close()
	client.send(`{"event":"speak","data":"de","cid":2}`)
	client.next()
	client.send(`{"event":"greet","cid":3}`)
	fmt.Println(client.next())
	// Output: {"rid":3,"data":"Guten Tag"}
}

// Forward sends a channel to one socket as an event, whose client need not know of the
// channel: here, what a server logs to the clients that have asked for it.
func ExampleExchange_Forward() {
	srv := exampleServer(socketcluster.Config{})
	srv.Handle("tail", socketcluster.Proc(func(ctx context.Context, _ socketcluster.None) error {
		s := socketcluster.FromContext(ctx)
		return srv.Exchange().Forward(s.Context(), "server/log", s, "line")
	}))

	client := connectExample(srv)
	defer client.close()
	client.send(`{"event":"tail","cid":2}`)
	fmt.Println(client.next())
	srv.Exchange().Publish(srv.Context(), "server/log", "something has happened")
	fmt.Println(client.next())
	// Output:
	// {"rid":2}
	// {"event":"line","data":"something has happened"}
}

// Packets that are sent while a batch is open leave as one message.
func ExampleSocket_StartBatch() {
	srv := exampleServer(socketcluster.Config{})
	srv.Receive("join", socketcluster.Recv(func(ctx context.Context, _ socketcluster.None) error {
		s := socketcluster.FromContext(ctx)
		batch := s.StartBatch()
		defer batch.End()
		for _, name := range []string{"alice", "bob"} {
			if err := s.Transmit(ctx, "here", name); err != nil {
				return err
			}
		}
		return nil
	}))

	client := connectExample(srv)
	defer client.close()
	client.send(`{"event":"join"}`)
	fmt.Println(client.next())
	// Output: [{"event":"here","data":"alice"},{"event":"here","data":"bob"}]
}

// Calls of one socket to one procedure are handled one after the other. Concurrent lets
// several run at a time, whose answers come in any order.
func ExampleConcurrent() {
	srv := exampleServer(socketcluster.Config{})
	first := make(chan struct{})
	srv.Handle("render", socketcluster.Func(func(ctx context.Context, page int) (int, error) {
		if page == 1 {
			<-first // a page that takes long
		}
		return page, nil
	}), socketcluster.Concurrent(4))

	client := connectExample(srv)
	defer client.close()
	client.send(`{"event":"render","data":1,"cid":2}`)
	client.send(`{"event":"render","data":2,"cid":3}`)
	fmt.Println(client.next())
	close(first)
	fmt.Println(client.next())
	// Output:
	// {"rid":3,"data":2}
	// {"rid":2,"data":1}
}

// A handler that passes calls on detaches them, and gets the next one while others
// answer.
func ExampleCall_Detach() {
	srv := exampleServer(socketcluster.Config{})
	jobs := make(chan *socketcluster.Call, 10)
	srv.Handle("work", socketcluster.HandlerFunc(func(ctx context.Context, c *socketcluster.Call) (any, error) {
		c.Detach()
		jobs <- c
		return nil, nil
	}))

	client := connectExample(srv)
	defer client.close()
	client.send(`{"event":"work","data":"a","cid":2}`)
	client.send(`{"event":"work","data":"b","cid":3}`)
	a, b := <-jobs, <-jobs
	b.Reply("done")
	fmt.Println(client.next())
	a.Fail(socketcluster.Errorf("WorkError", "Nobody can do that"))
	fmt.Println(client.next())
	// Output:
	// {"rid":3,"data":"done"}
	// {"rid":2,"error":{"message":"Nobody can do that","name":"WorkError"}}
}

// A revocation ends logins before their tokens expire, on open connections too: here
// all those of a user.
func ExampleServer_Revoke() {
	srv := exampleServer(socketcluster.Config{Revocations: new(revoke.Memory)})
	token, err := srv.Auth().Sign(context.Background(), map[string]any{"sub": "alice"})
	if err != nil {
		log.Fatal(err)
	}
	client := loginExample(srv, token.Signed())
	defer client.close()
	err = srv.Revoke(context.Background(), revoke.Revocation{Subject: "alice", Until: time.Now().Add(24 * time.Hour)})
	fmt.Println(client.next(), err)
	// Output: {"event":"#removeAuthToken"} <nil>
}

// Claims that are read, changed and written back are written only if nobody else has
// changed the token meanwhile.
func ExampleSocket_SetAuthTokenIf() {
	type claims struct {
		Username string `json:"username"`
		Visits   int    `json:"visits"`
	}
	srv := exampleServer(socketcluster.Config{})
	srv.Handle("visit", socketcluster.Func(func(ctx context.Context, _ socketcluster.None) (int, error) {
		s := socketcluster.FromContext(ctx)
		for {
			old := s.AuthToken()
			var c claims
			if old == nil || old.Claims(&c) != nil {
				return 0, socketcluster.Errorf("AuthError", "You are not logged in")
			}
			c.Visits++
			err := s.SetAuthTokenIf(ctx, old, c)
			if !errors.Is(err, socketcluster.ErrTokenChanged) {
				return c.Visits, err
			}
		}
	}))
	token, err := srv.Auth().Sign(context.Background(), claims{"alice", 6})
	if err != nil {
		log.Fatal(err)
	}
	client := loginExample(srv, token.Signed())
	defer client.close()
	client.send(`{"event":"visit","cid":2}`)
	client.next() // the new token
	fmt.Println(client.next())
	// Output: {"rid":2,"data":7}
}

// A publisher that must not wait for slow subscribers says so by its context.
func ExampleNoWait() {
	srv := exampleServer(socketcluster.Config{})
	client := connectExample(srv)
	defer client.close()
	client.send(`{"event":"#subscribe","data":{"channel":"ticks"},"cid":2}`)
	client.next()
	ctx := socketcluster.NoWait(context.Background())
	if err := srv.Exchange().Publish(ctx, "ticks", 1); err != nil {
		log.Fatal(err)
	}
	fmt.Println(client.next())
	// Output: {"event":"#publish","data":{"channel":"ticks","data":1}}
}

// Old clients that cannot be given a path get a listener of their own.
func ExampleServer_Protocol1() {
	srv := exampleServer(socketcluster.Config{})
	defer srv.Close()
	socketcluster.On(srv, func(e socketcluster.HandshakeEvent) {
		fmt.Println("a client speaks version", e.Socket.ProtocolVersion())
	})
	current := httptest.NewServer(srv) // http.ListenAndServe(":8000", srv) in an application
	defer current.Close()
	old := httptest.NewServer(srv.Protocol1()) // http.ListenAndServe(":8001", srv.Protocol1())
	defer old.Close()

	dialExample(current.URL).close()
	dialExample(old.URL).close()
	// Output:
	// a client speaks version 2
	// a client speaks version 1
}

// A stream that is closed ends its loops once they have taken what has come
// before; what comes later is for the server's handler. Here, a socket has a
// loop of its own until its game is over.
func ExampleStream_Close() {
	srv := exampleServer(socketcluster.Config{}) // no handler for "move"
	over := make(chan struct{})
	socketcluster.On(srv, func(e socketcluster.ConnectEvent) {
		stream := e.Socket.Procedure("move")
		moves := stream.All()
		go func() {
			for call := range moves {
				call.Reply("moved " + string(call.Data))
				if string(call.Data) == "64" {
					stream.Close()
				}
			}
			close(over)
		}()
	})

	client := connectExample(srv)
	defer client.close()
	client.send(`{"event":"move","data":63,"cid":2}`)
	client.send(`{"event":"move","data":64,"cid":3}`)
	fmt.Println(client.next())
	fmt.Println(client.next())
	<-over
	client.send(`{"event":"move","data":65,"cid":4}`)
	fmt.Println(client.next())
	// Output:
	// {"rid":2,"data":"moved 63"}
	// {"rid":3,"data":"moved 64"}
	// {"rid":4,"error":{"message":"The server has no such procedure","name":"UnknownProcedureError"}}
}

// Clients of version 14 and before speak version 1. They are out there already
// and stay at the default path; newer ones get another. All of them are sockets
// of one server.
func ExampleConfig_twoVersions() {
	srv := exampleServer(socketcluster.Config{
		Path:          "/socketcluster/v2/",
		Protocol1Path: socketcluster.DefaultPath,
	})
	defer srv.Close()
	socketcluster.On(srv, func(e socketcluster.HandshakeEvent) {
		fmt.Println(e.Socket.URL(), "speaks version", e.Socket.ProtocolVersion())
	})
	site := httptest.NewServer(srv)
	defer site.Close()

	client := dialExample(site.URL)
	defer client.close()
	client.send(`{"event":"#handshake","data":{"authToken":null},"cid":1}`)
	client.next()
	// Output:
	// /socketcluster/ speaks version 1
}

// Middleware for publications on their way out decides for each subscriber, and may change
// what it gets.
func ExampleServer_UseOutbound() {
	srv := exampleServer(socketcluster.Config{})
	srv.UseOutbound(func(ctx context.Context, a socketcluster.Action) error {
		if out := a.(*socketcluster.PublishOut); out.Socket.AuthToken() == nil {
			out.Data = json.RawMessage(`"log in to read this"`)
		}
		return nil
	})
	client := connectExample(srv)
	defer client.close()
	client.send(`{"event":"#subscribe","data":{"channel":"news"},"cid":2}`)
	fmt.Println(client.next())
	if err := srv.Exchange().Publish(context.Background(), "news", "the whole story"); err != nil {
		panic(err)
	}
	fmt.Println(client.next())
	// Output:
	// {"rid":2}
	// {"event":"#publish","data":{"channel":"news","data":"log in to read this"}}
}

// A route gives the login in a cookie a new life. The sockets of the login get the new
// token, and their clients notice nothing.
func ExampleServer_RenewSession() {
	const cookie = "token" // "__Host-token" behind TLS
	srv := exampleServer(socketcluster.Config{
		TokenSources: []httpauth.Source{httpauth.Cookie(cookie)},
		Revocations:  new(revoke.Memory), // with which each login has a session
	})
	guard := httpauth.Authenticator{Engine: srv.Auth(), Sources: []httpauth.Source{httpauth.Cookie(cookie)}}
	routes := http.NewServeMux()
	routes.Handle(socketcluster.DefaultPath, srv)
	routes.Handle("POST /renew", guard.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, err := srv.SignAgain(r.Context(), httpauth.FromContext(r.Context()))
		if err == nil {
			err = httpauth.SetCookie(w, cookie, token)
		}
		if err != nil {
			http.Error(w, "no renewal", http.StatusInternalServerError)
			return
		}
		session, _ := token.Claim("sid")
		n, err := srv.RenewSession(r.Context(), fmt.Sprint(session), token)
		fmt.Fprint(w, n, " socket renewed, ", err)
	})))
	site := httptest.NewServer(guard.Protect(routes))
	defer site.Close()
	defer srv.Close()

	token, err := srv.Auth().Sign(context.Background(), map[string]string{"username": "alice"})
	if err != nil {
		panic(err)
	}
	login := http.Header{"Cookie": {cookie + "=" + token.Signed()}}
	client := dialExampleWith(site.URL, login)
	defer client.close()
	client.send(`{"event":"#handshake","data":{},"cid":1}`)
	fmt.Println(client.next())
	r, _ := http.NewRequest("POST", site.URL+"/renew", nil)
	r.Header = login
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		panic(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	fmt.Printf("%s\n", body)
	// Output:
	// {"rid":1,"data":{"id":"<id>","pingTimeout":30000,"isAuthenticated":true}}
	// 1 socket renewed, <nil>
}

// base64Codec is a codec whose messages are texts without quotes.
type base64Codec struct{}

func (base64Codec) Binary() bool { return false }

func (base64Codec) Encode(dst, message []byte) ([]byte, error) {
	return base64.StdEncoding.AppendEncode(dst, message), nil
}

func (base64Codec) Decode(dst, message []byte, limit int) ([]byte, error) {
	if base64.StdEncoding.DecodedLen(len(message)) > limit+2 { // without the padding
		return dst, wire.ErrMessageTooLarge
	}
	return base64.StdEncoding.AppendDecode(dst, message)
}

// A codec encodes all messages. Clients need the same one: the codecEngine of
// socketcluster-client. Package wire/minbin has that of sc-codec-min-bin.
func ExampleConfig_codec() {
	srv := exampleServer(socketcluster.Config{Codec: base64Codec{}})
	site := httptest.NewServer(srv)
	defer site.Close()
	defer srv.Close()
	client := dialExample(site.URL)
	defer client.close()
	client.send(base64.StdEncoding.EncodeToString([]byte(`{"event":"#handshake","data":{},"cid":1}`)))
	answer, _ := base64.StdEncoding.DecodeString(client.next())
	fmt.Println(strings.Contains(string(answer), `"rid":1`))
	// Output: true
}

// countingBroker is the broker of a single server, and counts publications. Other brokers
// carry publications between servers.
type countingBroker struct {
	mem.Broker
	publications atomic.Int64
}

func (b *countingBroker) Publish(ctx context.Context, channel string, data []byte) error {
	b.publications.Add(1)
	return b.Broker.Publish(ctx, channel, data)
}

// A broker carries publications from where they are made to those who subscribe.
func ExampleConfig_broker() {
	b := new(countingBroker)
	srv := exampleServer(socketcluster.Config{Broker: b})
	client := connectExample(srv)
	defer client.close()
	client.send(`{"event":"#subscribe","data":{"channel":"news"},"cid":2}`)
	fmt.Println(client.next())
	if err := srv.Exchange().Publish(context.Background(), "news", "hello"); err != nil {
		panic(err)
	}
	fmt.Println(client.next(), b.publications.Load())
	// Output:
	// {"rid":2}
	// {"event":"#publish","data":{"channel":"news","data":"hello"}} 1
}

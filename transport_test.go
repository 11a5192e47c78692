package socketcluster_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/wire"
)

// refused reads the answer to an upgrade that was refused and checks what all
// of them have in common.
func refused(t *testing.T, resp *http.Response, status int, body string) {
	t.Helper()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status || string(text) != body {
		t.Errorf("got %d %q %v, want %d %q", resp.StatusCode, text, err, status, body)
	}
	if !resp.Close || resp.ContentLength != int64(len(body)) {
		t.Errorf("close %t, length %d", resp.Close, resp.ContentLength)
	}
	if typ := resp.Header.Get("Content-Type"); !strings.HasPrefix(typ, "text/plain") {
		t.Errorf("QK-9: type %q", typ)
	}
}

// TR-1, TR-5: requests that are not upgraded.
func TestUpgradeRefused(t *testing.T) {
	header := func(name, value string) func(r *http.Request) {
		return func(r *http.Request) {
			if value == "" {
				r.Header.Del(name)
			} else {
				r.Header.Set(name, value)
			}
		}
	}
	path := func(path string) func(r *http.Request) {
		return func(r *http.Request) { r.URL.Opaque = "//server" + path }
	}
	for _, test := range []struct {
		name   string
		edit   func(r *http.Request)
		status int
		body   string
	}{
		{"TR-5: method", func(r *http.Request) { r.Method = "POST" }, 405, "Invalid HTTP method"},
		{"TR-5: no upgrade", header("Upgrade", ""), 400, "Invalid Upgrade header"},
		{"TR-5: other upgrade", header("Upgrade", "h2c"), 400, "Invalid Upgrade header"},
		{"TR-5: no key", header("Sec-WebSocket-Key", ""), 400, "Missing or invalid Sec-WebSocket-Key header"},
		{"TR-5: short key", header("Sec-WebSocket-Key", "abc"), 400, "Missing or invalid Sec-WebSocket-Key header"},
		{"TR-5: no version", header("Sec-WebSocket-Version", ""), 400, "Missing or invalid Sec-WebSocket-Version header"},
		{"TR-5: version 12", header("Sec-WebSocket-Version", "12"), 400, "Missing or invalid Sec-WebSocket-Version header"},
		{"TR-5: subprotocol", header("Sec-WebSocket-Protocol", "a,,b"), 400, "Invalid Sec-WebSocket-Protocol header"},
		{"TR-1: no slash", path("/socketcluster"), 400, "Bad Request"},
		{"TR-1: more path", path("/socketcluster/x"), 400, "Bad Request"},
		{"TR-1: case", path("/SocketCluster/"), 400, "Bad Request"},
		{"TR-1: percent-encoded letter", path("/socketcluste%72/"), 400, "Bad Request"},
		{"TR-1: percent-encoded slash", path("/socketcluster%2F"), 400, "Bad Request"},
		{"TR-1: two slashes", path("//socketcluster/"), 400, "Bad Request"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, socketcluster.Config{}, func(w *world) {
				_, resp := w.upgrade(test.edit)
				refused(t, resp, test.status, test.body)
				if strings.Contains(test.body, "Version") && resp.Header.Get("Sec-WebSocket-Version") != "13, 8" {
					t.Errorf("version %q", resp.Header.Get("Sec-WebSocket-Version"))
				}
				synctest.Wait()
				if n := w.srv.PendingClientsCount(); n != 0 {
					t.Errorf("%d sockets", n)
				}
			})
		})
	}
}

// TR-1, TR-2: a query means nothing to the server and is kept; version 8 is
// admitted too.
func TestUpgradeAdmitted(t *testing.T) {
	inBubble(t, socketcluster.Config{Path: "/some%20where", KeepRequest: true}, func(w *world) {
		p, resp := w.upgrade(func(r *http.Request) {
			r.URL.Opaque = "//server/some%20where?a=1&token=x"
			r.Header.Set("Sec-WebSocket-Version", "8")
			r.Header.Set("User-Agent", "test")
		})
		if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
			t.Fatalf("got %s %v", resp.Status, resp.Header)
		}
		p.send(`{"event":"#handshake","cid":1}`)
		p.next()
		s := w.only()
		if s.URL() != "/some%20where?a=1&token=x" || s.Request().Header.Get("User-Agent") != "test" {
			t.Errorf("URL %q, request %v", s.URL(), s.Request())
		}
	})
}

// TR-11: ids are 20 characters of the URL-safe alphabet, and no two alike.
func TestSocketID(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		form := regexp.MustCompile(`^[A-Za-z0-9_-]{20}$`)
		seen := map[string]bool{}
		for range 20 {
			w.dial()
		}
		synctest.Wait()
		for s := range w.srv.PendingClients() {
			if !form.MatchString(s.ID()) || seen[s.ID()] {
				t.Errorf("id %q", s.ID())
			}
			if w.srv.Client(s.ID()) != nil {
				t.Error("HS-18: a pending socket is found among the clients")
			}
			seen[s.ID()] = true
		}
		if len(seen) != 20 {
			t.Errorf("%d ids", len(seen))
		}
	})
}

// TR-12, TR-13, TR-14, TR-15, TR-16, QK-8, QK-9: whose pages may connect.
func TestOrigins(t *testing.T) {
	const (
		none      = "-"
		missing   = "the request has no Origin header; AllowMissingOrigin admits such requests"
		null      = "the origin is null, as for files and sandboxed frames"
		malformed = "the Origin header is malformed"
	)
	for _, test := range []struct {
		entries []string
		origin  string
		missing bool // AllowMissingOrigin
		admits  bool
		why     string // "" for an origin that is not in the list
	}{
		{[]string{"https://a.com"}, "https://a.com", false, true, ""},
		{[]string{"https://a.com"}, "http://a.com:443", false, false, ""},
		{[]string{"https://*.a.com"}, "https://x.a.com", false, true, ""},
		{[]string{"https://*.a.com"}, "https://a.com", false, false, ""},
		{[]string{"chrome-extension://abc"}, "chrome-extension://abc", false, true, ""},
		{[]string{"localhost:80"}, "capacitor://localhost", false, true, ""},
		{nil, "http://any.example", false, true, ""},
		{nil, none, false, true, ""},
		{[]string{"*:*"}, "null", false, true, ""},
		{[]string{"a.com:80", "*:*"}, none, false, true, ""},
		{[]string{"a.com:80"}, "http://a.com", false, true, ""},
		{[]string{"a.com:80"}, "http://A.COM", false, true, ""},
		{[]string{"A.com:80"}, "http://a.com:80", false, true, ""},
		{[]string{"a.com:443"}, "https://a.com", false, true, ""},
		{[]string{"a.com:80"}, "https://a.com", false, false, ""},
		{[]string{"a.com:80"}, "http://a.com:8080", false, false, ""},
		{[]string{"a.com:*"}, "https://a.com:8443", false, true, ""},
		{[]string{"*:8080"}, "http://b.example:8080", false, true, ""},
		{[]string{"*:8080"}, "http://b.example", false, false, ""},
		{[]string{"::1:80"}, "http://[::1]", false, true, ""},
		{[]string{"[::1]:80"}, "http://[::1]:80", false, true, ""},
		{[]string{"a.com:80"}, "http://com", false, false, ""},
		{[]string{"a.com:80"}, "http://com:8", false, false, ""},
		{[]string{"example.com:*"}, "https://ple.com", false, false, ""},
		{[]string{"example.com:*"}, "https://example.com.evil.org", false, false, ""},
		{[]string{"example.com:*"}, "https://example.com@evil.org", false, false, malformed},
		{[]string{"example.com:*"}, "https://example.com:443@evil.org", false, false, malformed},
		{[]string{"example.com:*"}, "https://evil.org/#example.com:443", false, false, malformed},
		{[]string{"*:80"}, "null", false, false, null},
		{[]string{"*:80"}, none, false, false, missing},
		{[]string{"*:80"}, "", false, false, malformed},
		{[]string{"*:80"}, "://", false, false, malformed},
		{[]string{"*:80"}, "http://a:b:c", false, false, malformed},
		{[]string{"*:80"}, none, true, true, ""},
		{[]string{"*:80"}, "null", true, false, null},
	} {
		t.Run(strings.Join(test.entries, " ")+" "+test.origin, func(t *testing.T) {
			cfg := socketcluster.Config{Origins: test.entries, AllowMissingOrigin: test.missing}
			inBubble(t, cfg, func(w *world) {
				var warning error
				socketcluster.On(w.srv, func(e socketcluster.WarningEvent) { warning = e.Err })
				_, resp := w.upgrade(func(r *http.Request) {
					if test.origin != none {
						r.Header["Origin"] = []string{test.origin}
					}
				})
				synctest.Wait()
				if test.admits {
					if resp.StatusCode != http.StatusSwitchingProtocols || warning != nil {
						t.Errorf("refused: %s, %v", resp.Status, warning)
					}
					return
				}
				// QK-9: only what is well-formed is sent back.
				reason := test.why
				if reason == "" {
					reason = test.origin + " is not in Origins"
				}
				text := "Failed to authorize socket handshake - Invalid origin: " + reason
				refused(t, resp, 403, text)
				if !errors.Is(warning, wire.ErrServerProtocol) || warning.Error() != "ServerProtocolError: "+text {
					t.Errorf("TR-15: warning %v", warning)
				}
			})
		})
	}
	t.Run("two headers", func(t *testing.T) {
		inBubble(t, socketcluster.Config{Origins: []string{"a.com:80"}}, func(w *world) {
			_, resp := w.upgrade(func(r *http.Request) { r.Header["Origin"] = []string{"http://a.com", "http://b.com"} })
			refused(t, resp, 403, "Failed to authorize socket handshake - Invalid origin: the request has several Origin headers")
		})
	})
}

// TR-4: what is looked at first.
func TestUpgradeOrder(t *testing.T) {
	inBubble(t, socketcluster.Config{Origins: []string{"a.com:80"}}, func(w *world) {
		ran := 0
		w.srv.UseHandshake(socketcluster.Guard(func(_ context.Context, a *socketcluster.HandshakeWS) error {
			ran++
			if a.Request.URL.RawQuery == "no" {
				return &wire.Error{Name: "E", Message: "<b>go away</b>"}
			}
			return nil
		}))
		_, resp := w.upgrade(func(r *http.Request) { r.URL.Path = "/other/" })
		refused(t, resp, 400, "Bad Request")
		if ran != 0 {
			t.Error("the middleware ran before the check of the path")
		}
		_, resp = w.upgrade(func(r *http.Request) { r.URL.RawQuery = "no" })
		refused(t, resp, 401, "<b>go away</b>")
		_, resp = w.upgrade(func(r *http.Request) { r.Header.Set("Origin", "http://b.com") })
		refused(t, resp, 403, "Failed to authorize socket handshake - Invalid origin: http://b.com is not in Origins")
		if ran != 2 {
			t.Errorf("the middleware ran %d times, want 2: before the check of the origin", ran)
		}
	})
}

// TR-6: subprotocols.
func TestSubprotocol(t *testing.T) {
	pick := func(name string) func([]string, *http.Request) string {
		return func(offered []string, r *http.Request) string {
			if len(offered) == 0 || r == nil {
				t.Error("asked without an offer")
			}
			return name
		}
	}
	for _, test := range []struct {
		offered []string
		pick    func([]string, *http.Request) string
		want    string
	}{
		{nil, nil, ""},
		{nil, pick("x"), ""},
		{[]string{"a, b"}, nil, "a"},
		{[]string{"a", "b"}, pick("b"), "b"},
		{[]string{"a,b"}, pick("c"), ""},
		{[]string{"a,b"}, pick(""), ""},
		{[]string{"a,b"}, pick("b\r\nX: 1"), ""},
	} {
		inBubble(t, socketcluster.Config{Subprotocol: test.pick}, func(w *world) {
			_, resp := w.upgrade(func(r *http.Request) { r.Header["Sec-Websocket-Protocol"] = test.offered })
			if got := resp.Header.Get("Sec-WebSocket-Protocol"); resp.StatusCode != 101 || got != test.want || resp.Header.Get("X") != "" {
				t.Errorf("offered %q: %s, %q, want %q", test.offered, resp.Status, got, test.want)
			}
		})
	}
}

// TR-7: compression is offered by some clients, and not taken up.
func TestNoCompression(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		_, resp := w.upgrade(func(r *http.Request) {
			r.Header.Set("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")
		})
		if ext := resp.Header.Get("Sec-WebSocket-Extensions"); resp.StatusCode != 101 || ext != "" {
			t.Errorf("%s, extensions %q", resp.Status, ext)
		}
	})
}

// TR-8: text that is no UTF-8 closes with 1007; the event is an error and the
// code 1006, as for a connection that was lost.
func TestInvalidText(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		log := w.record()
		codes := make(chan wire.CloseCode, 1)
		socketcluster.On(w.srv, func(e socketcluster.CloseEvent) { codes <- e.Code })
		p := w.client()
		p.send("\xff")
		p.wantClose(1007, "")
		if code := <-codes; code != 1006 {
			t.Errorf("code %d", code)
		}
		log.want("connect error disconnect close error end")
	})
}

// TR-20, TR-23, TR-24, TR-25, TR-27: what is a packet and what is not.
func TestRawMessages(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		p := w.client()
		s := w.only()
		type raw struct {
			binary bool
			data   string
		}
		var raws, messages []raw
		socketcluster.On(s, func(e socketcluster.RawEvent) { raws = append(raws, raw{e.Binary, string(e.Data)}) })
		socketcluster.On(s, func(e socketcluster.MessageEvent) { messages = append(messages, raw{e.Binary, string(e.Data)}) })
		p.send(`hello`)
		p.send(`5`)
		p.send(`"text"`)
		p.send(`{"broken":`)
		p.send(`{}`)
		p.send(`{"event":5,"cid":1}`)
		p.send(`[1,{"event":"a"},[{"event":"b"}]]`) // TR-25: one event for each element
		p.send(`[]`)
		p.send("\ufeff{}")
		p.sendBinary("\x00\xff")
		p.sendBinary("")
		p.send("") // a pong
		p.send(`{"rid":77}`)
		synctest.Wait()
		want := []raw{{false, `hello`}, {false, `5`}, {false, `"text"`}, {false, `{"broken":`}, {false, `{}`}, {false, `{"event":5,"cid":1}`},
			{false, `[1,{"event":"a"},[{"event":"b"}]]`}, {false, `[1,{"event":"a"},[{"event":"b"}]]`}, {false, "\ufeff{}"}, {true, "\x00\xff"}, {true, ""}}
		if len(raws) != len(want) {
			t.Errorf("raw events %v\nwant %v", raws, want)
		}
		for i := range min(len(raws), len(want)) {
			if raws[i] != want[i] {
				t.Errorf("raw event %d: %v, want %v", i, raws[i], want[i])
			}
		}
		if len(messages) != 13 || messages[11] != (raw{false, ""}) || messages[12].data != `{"rid":77}` {
			t.Errorf("TR-27: message events %v", messages)
		}
	})
}

// TR-24: event wins over rid.
func TestEventAndRID(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.srv.Handle("echo", socketcluster.Func(echo))
		p := w.client()
		p.send(`{"rid":9,"cid":2,"event":"echo"}`)
		p.want(`{"rid":2}`)
	})
}

// TR-17, TR-26: raw messages of the server, verbatim, in the order of the
// calls.
func TestSend(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		ctx := context.Background()
		log := w.record()
		p := w.client()
		s := w.only()
		log.take()
		s.Transmit(ctx, "a", nil)
		s.Send(ctx, `{"raw":`)
		s.SendBinary(ctx, []byte{0, 255})
		s.Transmit(ctx, "b", []byte("hi")) // TR-21
		p.want(`{"event":"a"}`, `{"raw":`)
		if f, err := p.nextFrame(); err != nil || f.Header.OpCode != ws.OpBinary || string(f.Payload) != "\x00\xff" {
			t.Errorf("got %v %q %v", f.Header, f.Payload, err)
		}
		p.want(`{"event":"b","data":{"base64":true,"data":"aGk="}}`)
		p.conn.Close()
		synctest.Wait()
		log.take()
		if err := s.Send(ctx, "x"); err == nil {
			t.Error("sent on a closed socket")
		}
		if err := s.SendBinary(ctx, nil); err == nil {
			t.Error("sent on a closed socket")
		}
		log.want("error error")
	})
}

// TR-22: what cannot be encoded is the caller's error, and nothing is sent.
func TestUnencodable(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		ctx := context.Background()
		p := w.client()
		s := w.only()
		for _, bad := range []any{func() {}, make(chan int), failingJSON{}} {
			if s.Transmit(ctx, "a", bad) == nil || s.KickOut(ctx, "a", bad) == nil || w.srv.Exchange().Publish(ctx, "a", bad) == nil {
				t.Errorf("%T was sent", bad)
			}
			if _, err := s.Invoke(ctx, "a", bad); err == nil {
				t.Errorf("%T was sent", bad)
			}
		}
		p.quiet(time.Second)
	})
}

type failingJSON struct{}

func (failingJSON) MarshalJSON() ([]byte, error) { return nil, errors.New("no") }

// Pings of the WebSocket protocol are answered, and are no messages.
func TestProtocolPing(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		p := w.dial()
		p.sendFrame(ws.NewPingFrame([]byte("are you there")))
		f, err := p.nextFrame()
		if err != nil || f.Header.OpCode != ws.OpPong || string(f.Payload) != "are you there" {
			t.Errorf("got %v %q %v", f.Header, f.Payload, err)
		}
		p.send(`{"event":"#handshake","cid":1}`)
		p.next()
	})
}

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"testing"

	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// bridge plays the bridge's part.
type bridge struct {
	t    *testing.T
	to   io.Writer
	from *bufio.Scanner
	last int
}

// newBridge starts a host, which ends with the test.
func newBridge(t *testing.T) *bridge {
	in, to := io.Pipe()
	from, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(in, out, slog.New(slog.DiscardHandler))
		out.Close()
		ended <- err
	}()
	b := &bridge{t: t, to: to, from: bufio.NewScanner(from)}
	t.Cleanup(func() {
		to.Close()
		io.Copy(io.Discard, from)
		if err := <-ended; err != nil {
			t.Errorf("the host ended with %v", err)
		}
	})
	return b
}

// next returns the first line that has these members, and drops those before
// it.
func (b *bridge) next(members fields) map[string]any {
	b.t.Helper()
	for b.from.Scan() {
		var line map[string]any
		if err := json.Unmarshal(b.from.Bytes(), &line); err != nil {
			b.t.Fatalf("line %s: %v", b.from.Bytes(), err)
		}
		if has(line, members) {
			return line
		}
	}
	b.t.Fatalf("no line with %v: %v", members, b.from.Err())
	return nil
}

// has reports whether a line has these members. Numbers are compared as text.
func has(line map[string]any, members fields) bool {
	for name, want := range members {
		if fmt.Sprint(line[name]) != fmt.Sprint(want) {
			return false
		}
	}
	return true
}

// start sends a command and returns its number.
func (b *bridge) start(cmd string, args fields) int {
	b.t.Helper()
	b.last++
	line := fields{"t": "cmd", "id": b.last, "cmd": cmd}
	for name, value := range args {
		line[name] = value
	}
	b.write(line)
	return b.last
}

func (b *bridge) write(line fields) {
	b.t.Helper()
	enc := json.NewEncoder(b.to)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(line); err != nil {
		b.t.Fatal(err)
	}
}

// do sends a command and waits for its result.
func (b *bridge) do(cmd string, args fields) map[string]any {
	b.t.Helper()
	return b.next(fields{"t": "result", "id": b.start(cmd, args)})
}

// listen makes server 1 and returns its address.
func (b *bridge) listen(options fields, more fields) string {
	b.t.Helper()
	args := fields{"server": 1, "port": 0, "options": options, "authMethods": []string{}, "brokerHooks": []string{}}
	for name, value := range more {
		args[name] = value
	}
	result := b.do("listen", args)
	ok, _ := result["ok"].(map[string]any)
	if ok == nil {
		b.t.Fatalf("listen: %v", result)
	}
	return fmt.Sprintf("127.0.0.1:%v", ok["port"])
}

// client is one that has completed its handshake, and its socket's id.
type client struct {
	*sctest.Client
	id string
}

func (b *bridge) connect(address string) *client {
	b.t.Helper()
	c := sctest.Connect(b.t, sctest.TCP(address), "")
	return &client{c, b.next(fields{"t": "event", "event": "connection"})["socket"].(string)}
}

func TestListen(t *testing.T) {
	b := newBridge(t)
	if hello := b.next(fields{"t": "hello"}); hello["protocol"] != 1.0 {
		t.Errorf("hello %v", hello)
	}
	number := b.start("listen", fields{"server": 1, "options": fields{"authKey": "short", "pingInterval": 400}})
	ready := b.next(fields{"t": "event", "event": "ready"})
	if data, ok := ready["data"].(map[string]any); !ok || len(data) != 0 {
		t.Errorf("data of the ready event: %v, want an empty object", ready["data"])
	}
	ok := b.next(fields{"t": "result", "id": number})["ok"].(map[string]any)
	options, properties := ok["options"].(map[string]any), ok["properties"].(map[string]any)
	if properties["signatureKey"] != "short" || properties["pingTimeout"] != 30000.0 || options["pingInterval"] != 400.0 {
		t.Errorf("options %v, properties %v", options, properties)
	}
	// The port is taken now.
	if result := b.do("listen", fields{"server": 2, "port": ok["port"]}); result["err"] == nil {
		t.Errorf("the port was given twice: %v", result)
	}
}

// RPC-7, RPC-8: calls are answered once, and absent data is not null.
func TestCalls(t *testing.T) {
	b := newBridge(t)
	c := b.connect(b.listen(nil, nil))
	for i, test := range []struct {
		call    string
		hasData bool
		respond string
		answer  string
	}{
		{`{"event":"p","cid":2}`, false, `{}`, `{"rid":2}`},
		{`{"event":"p","cid":3,"data":null}`, true, `{"data":null}`, `{"rid":3,"data":null}`},
		{`{"event":"p","cid":4,"data":"<&>"}`, true, `{"data":"<&>"}`, `{"rid":4,"data":"<&>"}`},
		{`{"event":"p","cid":5}`, false, `{"error":{"message":"m","name":"N","code":1}}`, `{"rid":5,"error":{"message":"m","name":"N","code":1}}`},
	} {
		c.Send(test.call)
		line := b.next(fields{"t": "procedure", "procedure": "p", "id": i + 2})
		if _, ok := line["data"]; ok != test.hasData {
			t.Errorf("%s: line %v", test.call, line)
		}
		var args fields
		if err := json.Unmarshal([]byte(test.respond), &args); err != nil {
			t.Fatal(err)
		}
		args["request"] = line["request"]
		if result := b.do("respond", args); result["err"] != nil {
			t.Errorf("respond: %v", result)
		}
		c.Want(test.answer)
		if result := b.do("respond", args); result["err"] == nil {
			t.Errorf("answered twice: %v", result)
		}
	}
}

// MW-4, MW-6: the bridge's verdicts, and that quick commands are answered
// while a question is open.
func TestMiddleware(t *testing.T) {
	b := newBridge(t)
	address := b.listen(nil, nil)
	if result := b.do("setMiddleware", fields{"server": 1, "type": "inbound"}); result["err"] != nil {
		t.Fatal(result)
	}
	for _, line := range []string{"inbound", "sideways"} {
		if result := b.do("setMiddleware", fields{"server": 1, "type": line}); result["err"] == nil {
			t.Errorf("%s: %v", line, result)
		}
	}
	c := b.connect(address)
	c.Send(`{"event":"#publish","data":{"channel":"a","data":1},"cid":2}`)
	question := b.next(fields{"t": "ask", "ask": "middleware"})
	if action := question["action"].(map[string]any); action["type"] != "publishIn" || action["channel"] != "a" || action["data"] != 1.0 {
		t.Errorf("action %v", action)
	}
	if counters := b.do("counters", fields{"socket": c.id})["ok"].(map[string]any); counters["inboundReceived"] != 2.0 {
		t.Errorf("counters %v", counters)
	}
	b.write(fields{"t": "answer", "id": question["id"], "ok": fields{"outcome": "block"}})
	c.Want(`{"rid":2,"error":{"message":"The publishIn AGAction was blocked by inbound middleware","name":"SilentMiddlewareBlockedError","type":"inbound"}}`)

	c.Send(`{"event":"p","data":1,"cid":3}`)
	question = b.next(fields{"t": "ask", "ask": "middleware"})
	b.write(fields{"t": "answer", "id": question["id"], "ok": fields{"outcome": "allow", "data": "changed"}})
	if line := b.next(fields{"t": "procedure"}); line["data"] != "changed" {
		t.Errorf("procedure %v", line)
	}
}

// PS-15: an override of the broker is asked about a socket that leaves; that
// the command has an answer before is what lets the bridge give its own.
func TestBrokerHook(t *testing.T) {
	b := newBridge(t)
	c := b.connect(b.listen(nil, fields{"brokerHooks": []string{"unsubscribeSocket"}}))
	c.Send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
	c.Want(`{"rid":2}`)
	number := b.start("disconnect", fields{"socket": c.id, "code": 4321})
	for _, event := range []string{"disconnect", "disconnection", "close", "closure"} {
		b.next(fields{"t": "event", "event": event})
	}
	question := fields{"t": "ask", "ask": "broker", "method": "unsubscribeSocket", "socket": c.id, "channel": "a"}
	result := fields{"t": "result", "id": number}
	id := b.both(question, result)["id"]
	b.write(fields{"t": "answer", "id": id})
	b.next(fields{"t": "event", "event": "unsubscribe"})
	b.next(fields{"t": "event", "event": "end"})
	b.next(fields{"t": "streams", "op": "kill"})
}

// both waits for two lines that may come in any order, and returns the one
// for the first.
func (b *bridge) both(first, second fields) (line map[string]any) {
	b.t.Helper()
	for missing := 2; missing > 0; {
		switch got := b.next(nil); {
		case has(got, first):
			line = got
			missing--
		case has(got, second):
			missing--
		}
	}
	return line
}

// AUTH-10: an engine of the suite's signs and verifies.
func TestDelegatedEngine(t *testing.T) {
	b := newBridge(t)
	address := b.listen(fields{"authKey": "key"}, fields{"authMethods": []string{"verifyToken", "signToken"}})
	conn, err := sctest.TCP(address)(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	upgraded, err := sctest.Open(conn, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := sctest.New(t, upgraded)
	c.Send(sctest.HandshakeMessage("signed"))
	question := b.next(fields{"t": "ask", "ask": "verifyToken", "signedToken": "signed", "key": "key"})
	b.write(fields{"t": "answer", "id": question["id"], "err": fields{"name": "TokenExpiredError", "message": "late", "expiredAt": "then"}})
	event := b.next(fields{"t": "event", "event": "connection"})
	want := map[string]any{"name": "AuthTokenExpiredError", "message": "late", "expiry": "then", "isBadToken": true}
	if got := event["data"].(map[string]any)["authError"]; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("authError %v, want %v", got, want)
	}
	number := b.start("setAuthToken", fields{"socket": event["socket"], "data": fields{"user": "ann"}})
	question = b.next(fields{"t": "ask", "ask": "signToken", "key": "key"})
	b.write(fields{"t": "answer", "id": question["id"], "ok": "text"})
	if result := b.both(fields{"t": "result", "id": number}, fields{"t": "event", "event": "authTokenSigned"}); result["err"] != nil {
		t.Errorf("setAuthToken: %v", result)
	}
}

// A command with arguments of a wrong type fails alone.
func TestWrongType(t *testing.T) {
	b := newBridge(t)
	b.next(fields{"t": "hello"})
	if result := b.do("setMiddleware", fields{"server": 1, "type": 5}); result["err"] == nil {
		t.Errorf("got %v", result)
	}
	if result := b.do("nonsense", nil); result["err"].(map[string]any)["name"] != nameUnsupported {
		t.Errorf("got %v", result)
	}
	if result := b.do("sync", nil); result["err"] != nil {
		t.Errorf("got %v", result)
	}
}

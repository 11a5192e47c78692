//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
)

// contractServers are the programs that must behave alike.
func contractServers() map[string]func(t *testing.T, env ...string) *exec.Cmd {
	return map[string]func(t *testing.T, env ...string) *exec.Cmd{
		"go": func(t *testing.T, env ...string) *exec.Cmd { return proc.Binary(proc.GoBuild(t, "./contract"), env...) },
		"js": func(t *testing.T, env ...string) *exec.Cmd { return proc.Node(t, "bench/js/server.js", env...) },
	}
}

// startContract runs a contract server; the cleanup of proc.Start checks that
// it ends with exit code 0 on SIGTERM.
func startContract(t *testing.T, command func(t *testing.T, env ...string) *exec.Cmd, env ...string) *proc.Process {
	return proc.Start(t, command(t, append([]string{"PORT=0", "AUTH_KEY=" + authKey}, env...)...))
}

func connect(t *testing.T, addr, token string) *conn {
	t.Helper()
	c, err := dial(t.Context(), endpoint{addr: addr, proto: scProtocol{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.net.Close() })
	if err := c.handshake(token); err != nil {
		t.Fatal(err)
	}
	return c
}

// packet is any message of the protocol that a client receives.
type packet struct {
	Event string          `json:"event"`
	Rid   uint64          `json:"rid"`
	Data  json.RawMessage `json:"data"`
	Error *wireError      `json:"error"`
}

type wireError struct {
	Name    string `json:"name"`
	Message string `json:"message"`
}

func (e *wireError) Error() string { return e.Name + ": " + e.Message }

// call invokes event and returns the data of the answer, and the other
// messages that arrived before it. An error of the server is a *wireError.
func (c *conn) call(event, data string) (answer json.RawMessage, before []packet, err error) {
	c.id++
	c.net.SetDeadline(time.Now().Add(ioTimeout))
	defer c.net.SetDeadline(time.Time{})
	if _, err := c.net.Write(appendFrame(nil, opText, c.proto.appendCall(nil, c.id, event, data))); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", event, err)
	}
	for {
		message, err := c.next()
		if err != nil {
			return nil, before, fmt.Errorf("%s: %w", event, err)
		}
		var p packet
		if err := json.Unmarshal(bytes.Clone(message), &p); err != nil {
			return nil, before, fmt.Errorf("%s: message %q: %w", event, message, err)
		}
		if p.Rid != c.id {
			before = append(before, p)
			continue
		}
		if p.Error != nil {
			return nil, before, fmt.Errorf("%s: %w", event, p.Error)
		}
		return p.Data, before, nil
	}
}

func wantRefusal(t *testing.T, c *conn, event, data, name string) {
	t.Helper()
	_, _, err := c.call(event, data)
	var refused *wireError
	if !errors.As(err, &refused) || refused.Name != name {
		t.Errorf("%s %s: got %v, want %s", event, data, err, name)
	}
}

func wantSuccess(t *testing.T, c *conn, event, data string) {
	t.Helper()
	if _, _, err := c.call(event, data); err != nil {
		t.Error(err)
	}
}

func TestContract(t *testing.T) {
	for name, command := range contractServers() {
		t.Run(name, func(t *testing.T) {
			p := startContract(t, command)
			if got := strings.Count(p.Logs(), "listening on "); got != 1 || !strings.HasPrefix(p.Addr(), "127.0.0.1:") {
				t.Errorf("printed:\n%s", p.Logs())
			}
			t.Run("echo", func(t *testing.T) { testEcho(t, p.Addr()) })
			t.Run("login", func(t *testing.T) { testLogin(t, p.Addr()) })
			t.Run("channels", func(t *testing.T) { testChannels(t, p.Addr()) })
			t.Run("close", func(t *testing.T) {
				if err := connect(t, p.Addr(), "").close(); err != nil {
					t.Error(err)
				}
			})
		})
		t.Run(name+" origins", func(t *testing.T) { testOrigins(t, command) })
		t.Run(name+" ping interval", func(t *testing.T) {
			p := startContract(t, command, "PING_INTERVAL=20")
			testPings(t, endpoint{addr: p.Addr(), proto: scProtocol{}})
		})
	}
}

// As a node, it shows what a cluster offers.
func TestContractOfNode(t *testing.T) {
	command := contractServers()["go"]
	p := startContract(t, command, "NODE_NAME=a", "CLUSTER_LISTEN=127.0.0.1:0", "DATA_DIR="+t.TempDir())
	c := connect(t, p.Addr(), "")
	ask := func(event, data string) string {
		t.Helper()
		answer, _, err := c.call(event, data)
		if err != nil {
			t.Fatalf("%s %s: %v", event, data, err)
		}
		return string(answer)
	}
	ask("login", `{"username":"bob"}`)
	publication := `{"channel":"history.a","data":{"n":1},"id":"once"}`
	first, _, ok := strings.Cut(ask("#publish", publication), "-8.1.") // without its time
	if again := ask("#publish", publication); !ok || !strings.HasPrefix(again, first) {
		t.Errorf("a publication is answered by %s…, and its repetition by %s", first, again)
	}
	if got := ask("history", `{"channel":"history.a","count":10}`); !strings.HasPrefix(got, "["+first) || !strings.HasSuffix(got, `","data":{"n":1}}]`) || strings.Count(got, "data") != 1 {
		t.Errorf("the history is %s, not %s…", got, first)
	}
	ask("#subscribe", `{"channel":"presence.b"}`)
	if got := ask("online", `{"channel":"presence.b"}`); got != `["bob"]` {
		t.Errorf("online are %s", got)
	}
	ask("#unsubscribe", `"presence.b"`)
	for begun := time.Now(); !strings.Contains(p.Logs(), `a user has left user=bob channel=presence.b`); time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatalf("nobody has left:\n%s", p.Logs())
		}
	}
	if got := ask("online", `{"channel":"presence.b"}`); got != `[]` {
		t.Errorf("online are %s", got)
	}
}

func testPings(t *testing.T, e endpoint) {
	f, err := openFleet(t.Context(), e, 1, anonymous, discard)
	if err != nil {
		t.Fatal(err)
	}
	defer f.abandon()
	for f.pings() < 3 {
		if err := sleep(f.ctx, 0); err != nil {
			t.Fatal(err)
		}
	}
}

func testEcho(t *testing.T, addr string) {
	c := connect(t, addr, "")
	for _, want := range []string{`"text"`, `{"a":[1,2,{"b":null}]}`, `null`, `0`} {
		got, _, err := c.call("echo", want)
		if err != nil || string(got) != want {
			t.Errorf("echo of %s: got %s, %v", want, got, err)
		}
	}
}

func testLogin(t *testing.T, addr string) {
	c := connect(t, addr, "")
	for _, data := range []string{`{"username":5}`, `{}`, `null`} {
		wantRefusal(t, c, "login", data, "LoginError")
	}
	_, before, err := c.call("login", `{"username":"bob"}`)
	if err != nil {
		t.Fatal(err)
	}
	// The token may also follow the answer (AUTH-62): another call flushes it.
	_, more, err := c.call("echo", "1")
	if err != nil {
		t.Fatal(err)
	}
	var token struct {
		Token string `json:"token"`
	}
	for _, p := range append(before, more...) {
		if p.Event == "#setAuthToken" {
			if err := json.Unmarshal(p.Data, &token); err != nil {
				t.Fatal(err)
			}
		}
	}
	got, err := verifyToken(token.Token)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"news", "room/bob", "user/bob"}; got.Username != "bob" || !reflect.DeepEqual(got.Channels, want) {
		t.Errorf("claims are %+v", got)
	}
	if got.Expiry <= got.IssuedAt {
		t.Errorf("iat %d, exp %d", got.IssuedAt, got.Expiry)
	}
	connect(t, addr, token.Token) // checks that the token opens a session
}

func testChannels(t *testing.T, addr string) {
	anonymous := connect(t, addr, "")
	wantSuccess(t, anonymous, "#subscribe", `{"channel":"public"}`)
	wantRefusal(t, anonymous, "#subscribe", `{"channel":"private.a"}`, "SubscribeError")
	wantRefusal(t, anonymous, "#publish", `{"channel":"private.a","data":1}`, "PublishError")

	known := connect(t, addr, signToken("carol"))
	wantSuccess(t, known, "#subscribe", `{"channel":"private.a"}`)
	// PS-8: the own publication arrives before the answer.
	_, before, err := known.call("#publish", `{"channel":"private.a","data":"secret"}`)
	if err != nil {
		t.Fatal(err)
	}
	if len(before) != 1 || before[0].Event != "#publish" || string(before[0].Data) != `{"channel":"private.a","data":"secret"}` {
		t.Errorf("before the answer came %+v", before)
	}
	wantSuccess(t, known, "#publish", `{"channel":"public","data":"hello"}`)
	anonymous.net.SetDeadline(time.Now().Add(ioTimeout))
	got, err := anonymous.next()
	if want := `{"event":"#publish","data":{"channel":"public","data":"hello"}}`; err != nil || string(got) != want {
		t.Errorf("the anonymous subscriber received %q, %v", got, err)
	}
}

func testOrigins(t *testing.T, command func(t *testing.T, env ...string) *exec.Cmd) {
	p := startContract(t, command, "ORIGINS=example.com:*,other.example:8443")
	for origin, allowed := range map[string]bool{
		"http://example.com":         true,
		"https://example.com:9":      true,
		"https://other.example:8443": true,
		"https://other.example":      false,
		"http://evil.example":        false,
		"":                           false, // TR-14
	} {
		c, err := dial(t.Context(), endpoint{addr: p.Addr(), proto: scProtocol{}, origin: origin})
		if err == nil {
			c.net.Close()
		}
		var refused *statusError
		if allowed && err != nil {
			t.Errorf("origin %q: %v", origin, err)
		}
		if !allowed && (!errors.As(err, &refused) || refused.status != 403) {
			t.Errorf("origin %q: got %v, want status 403", origin, err)
		}
	}
}

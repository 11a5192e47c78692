//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
)

func TestKind(t *testing.T) {
	for _, test := range []struct {
		proto   protocol
		message string
		want    kind
	}{
		{scProtocol{}, `{"rid":1}`, answer},
		{scProtocol{}, `{"rid":1,"data":{"authError":{}}}`, answer},
		{scProtocol{}, `{"rid":1,"error":{}}`, refusal},
		{scProtocol{}, `{"event":"#publish","data":{}}`, publication},
		{scProtocol{}, `{"event":"#removeAuthToken"}`, other},
		{centrifugeProtocol{}, `{"id":1,"publish":{}}`, answer},
		{centrifugeProtocol{}, `{"id":1,"error":{"code":109}}`, refusal},
		{centrifugeProtocol{}, `{"push":{"channel":"a","pub":{"data":1}}}`, publication},
		{centrifugeProtocol{}, `{}`, other},
	} {
		if got := test.proto.kind([]byte(test.message)); got != test.want {
			t.Errorf("%s is %d, want %d", test.message, got, test.want)
		}
	}
}

func TestMessagesAreJSON(t *testing.T) {
	for _, p := range []protocol{scProtocol{}, centrifugeProtocol{}} {
		for _, message := range [][]byte{
			p.appendHandshake(nil, 1, ""), p.appendHandshake(nil, 1, "a.b.c"), p.appendCall(nil, 1, "echo", payload),
			p.appendSubscribe(nil, 1, "a"), p.appendPublish(nil, 1, "a", payload),
		} {
			if !json.Valid(message) {
				t.Errorf("%T: %s", p, message)
			}
		}
	}
	if len(payload) != payloadSize {
		t.Errorf("the payload has %d bytes", len(payload))
	}
}

// The peer does what the contract servers do, in its own protocol.
func TestPeer(t *testing.T) {
	command := func(env ...string) endpoint {
		p := proc.Start(t, proc.Binary(proc.GoBuild(t, "./bench/centrifuge"), append(env, "PORT=0", "AUTH_KEY="+authKey)...))
		return endpoint{addr: p.Addr(), proto: centrifugeProtocol{}}
	}
	t.Run("pings", func(t *testing.T) { testPings(t, command("PING_INTERVAL=500")) })
	e := command()
	open := func(token string) *conn {
		t.Helper()
		c, err := dial(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.net.Close() })
		if err := c.handshake(token); err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, token := range []string{expiredToken("carol"), forgedToken("carol")} {
		if err := connectOnce(t.Context(), e, refusedHandshake, token); err != nil {
			t.Error(err)
		}
	}
	if err := connectOnce(t.Context(), e, refusedHandshake, signToken("carol")); err == nil {
		t.Error("a good token counts as refused")
	}

	anonymous, known := open(""), open(signToken("carol"))
	var refused *refusedError
	if err := anonymous.subscribe("private.a"); !errors.As(err, &refused) {
		t.Errorf("anonymous in a private channel: %v", err)
	}
	if err := known.subscribe("private.a", "public"); err != nil {
		t.Error(err)
	}
	echo := appendFrame(nil, opText, anonymous.proto.appendCall(nil, 99, "echo", payload))
	if got, err := anonymous.roundTrip(echo, 1); err != nil || string(got) != `{"id":99,"rpc":{"data":`+payload+`}}` {
		t.Errorf("echo: %s, %v", got, err)
	}
	publish := appendFrame(nil, opText, anonymous.proto.appendPublish(nil, 100, "public", payload))
	if _, err := anonymous.roundTrip(publish, 1); err != nil {
		t.Error(err)
	}
	if got, err := known.next(); err != nil || known.proto.kind(got) != publication {
		t.Errorf("received %s, %v", got, err)
	}
	if err := known.close(); err != nil {
		t.Error(err)
	}
}

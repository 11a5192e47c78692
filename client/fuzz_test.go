package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/wire"
	"github.com/socketcluster-go/socketcluster/wire/minbin"
)

// Whatever a server sends, in messages or in bytes of its own, before or after the handshake: the
// client does not panic, everything that waits for it returns, and Close ends it. After that it
// has no goroutine, which synctest checks.
func FuzzClient(f *testing.F) {
	const (
		handshake = 1 << iota // is answered first
		stream                // the input is what follows the upgrade, and not messages
		upgrade               // the input is what follows the request
		version1
		binary
		deaf // the server does not read
	)
	for _, messages := range []string{
		"",
		"\x1e",
		`{"rid":1,"data":{"id":"x","pingTimeout":20000,"isAuthenticated":true}}`,
		`{"rid":1,"data":{"id":"x","pingTimeout":-1,"isAuthenticated":false,"authError":{"name":"E","message":"m"}}}` + "\x1e" + `{"event":"#removeAuthToken"}`,
		`{"rid":1,"error":{"name":"E","message":"m","statusCode":4501}}`,
		`{"rid":2}` + "\x1e" + `{"rid":3,"error":"no"}` + "\x1e" + `{"rid":4,"data":{"isAuthenticated":true}}`,
		`{"event":"#publish","data":{"channel":"a","data":1}}` + "\x1e" + `{"event":"#publish","data":null}`,
		`{"event":"#kickOut","data":{"channel":"a","message":"bye"}}` + "\x1e" + `{"event":"#kickOut","data":[]}`,
		`[{"event":"#setAuthToken","data":{"token":"a.e30.c"},"cid":1},{"event":"#setAuthToken","cid":2},{"event":"#removeAuthToken","cid":3}]`,
		`{"event":"p","data":[1],"cid":1}` + "\x1e" + `{"event":"p","cid":-1.5}` + "\x1e" + `{"event":"q","cid":1e300}` + "\x1e" + `{"event":"e","data":{}}`,
		`[[[[[]]]]]` + "\x1e" + `[1,"x",null,{},[]]` + "\x1e" + `[` + "\x1e\xff\xfe\x1e#1\x1e#2",
		strings.Repeat(`{"event":"p","cid":1}`+"\x1e", 50),
	} {
		for _, mode := range []byte{0, handshake, handshake | version1, handshake | binary, handshake | deaf} {
			f.Add(mode, []byte(messages))
		}
	}
	for _, text := range []string{
		frames(`{"event":"p","cid":1}`, ""), closing(4444, "bye"), "\x88\x00", "\x89\x02hi\x8a\x00", "\x01\x01a\x80\x01b", "\x81\x7f\x00\x00\x00\x00\xff\xff\xff\xff", "\xc1\x01x", "\x81\x81abcdx", "\x88\x01x",
	} {
		f.Add(byte(handshake|stream), []byte(text))
		f.Add(byte(stream), []byte(text))
	}
	for _, text := range []string{
		"HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nno", "\x00",
	} {
		f.Add(byte(upgrade), []byte(text))
	}
	f.Fuzz(func(t *testing.T, mode byte, input []byte) {
		withFake(t, func(t *testing.T, s *fake) {
			o := client.Options{
				TokenStore: withToken(t, "a.b.c"), AuthTokenName: "t",
				Limits:          client.Limits{MessageSize: 10_000, BatchSize: 20, Outbox: 10_000, Held: 20_000, Calls: 4, Queue: 4},
				ProtocolVersion: wire.Version2,
			}
			if mode&version1 != 0 {
				o.ProtocolVersion = wire.Version1
			}
			if mode&binary != 0 {
				o.Codec = minbin.Codec{}
			}
			c := s.new(o)
			record(t, c)
			client.On(c, func(client.MessageEvent) {})
			c.Handle("p", procedure(func(_ context.Context, call *call) (any, error) { return call.Data, nil }), socketcluster.Concurrent(2))
			c.ReceiveDefault(func(context.Context, *transmission) error { return nil })
			sub := subscribe(t, c, "a")
			returned := make(chan struct{}, 4)
			go func() { c.Connect(context.Background()); returned <- struct{}{} }()
			go func() { c.Invoke(context.Background(), "p", 1); returned <- struct{}{} }()
			go func() { c.Authenticate(context.Background(), "x.y.z"); returned <- struct{}{} }()
			go func() {
				for range sub.All() {
				}
				returned <- struct{}{}
			}()

			nc, r := s.raw()
			if mode&deaf == 0 {
				go io.Copy(io.Discard, nc)
			}
			write := func(bytes string) { _, _ = io.WriteString(nc, bytes) }
			if mode&upgrade == 0 {
				write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + acceptKey(r) + "\r\n\r\n")
			}
			message := func(data []byte) string {
				if o.Codec == nil {
					return frames(string(data))
				}
				if json.Valid(data) { // as codecs expect
					if encoded, err := o.Codec.Encode(nil, data); err == nil {
						data = encoded
					}
				}
				return binaryFrame(string(data))
			}
			synctest.Wait()
			go func() { // the client may not read it
				if mode&handshake != 0 {
					write(message([]byte(`{"rid":1,"data":{"id":"x","pingTimeout":20000,"isAuthenticated":true}}`)))
				}
				if mode&(stream|upgrade) != 0 {
					write(string(input))
					return
				}
				for data := range bytes.SplitSeq(input, []byte{0x1e}) {
					write(message(data))
				}
			}()
			synctest.Wait()
			began := time.Now()
			for range 3 {
				time.Sleep(time.Second)
				c.State()
			}
			c.Close()
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("closed after %v", took)
			}
			for range cap(returned) {
				<-returned
			}
		})
	})
}

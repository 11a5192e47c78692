package socketcluster_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/wire"
	"github.com/socketcluster-go/socketcluster/wire/minbin"
)

// sendCoded sends a message, given as JSON, in the form of a codec.
func (p *peer) sendCoded(c wire.Codec, message string) {
	p.t.Helper()
	encoded, err := c.Encode(nil, []byte(message))
	if err != nil {
		p.t.Fatal(err)
	}
	p.sendBinary(string(encoded))
}

// wantCoded checks the next messages, of which text shows the JSON.
func (p *peer) wantCoded(c wire.Codec, texts ...string) {
	p.t.Helper()
	for _, want := range texts {
		f, err := p.nextFrame()
		if err != nil {
			p.t.Fatal(err)
		}
		if f.Header.OpCode != ws.OpBinary {
			p.t.Fatalf("got opcode %d with %q, want %s", f.Header.OpCode, f.Payload, want)
		}
		got, err := c.Decode(nil, f.Payload, 1<<20)
		if err != nil {
			p.t.Fatal(err)
		}
		if string(got) != want {
			p.t.Fatalf("got  %s\nwant %s", got, want)
		}
	}
}

// TR-17, TR-28, MB-1: with a binary codec all packets are binary frames, in
// both directions, batches and answers to the server's calls included; pings
// stay text.
func TestCodec(t *testing.T) {
	inBubble(t, socketcluster.Config{Codec: minbin.Codec{}}, func(w *world) {
		c := minbin.Codec{}
		w.srv.Handle("echo", socketcluster.Func(func(_ context.Context, in any) (any, error) { return in, nil }))
		p := w.dial()
		p.sendCoded(c, `{"event":"#handshake","data":{"authToken":null},"cid":1}`)
		s := func() *socketcluster.Socket { return w.only() }
		f, err := p.nextFrame()
		if err != nil || f.Header.OpCode != ws.OpBinary {
			t.Fatalf("%v, %v", f.Header, err)
		}
		p.sendCoded(c, `[{"event":"#subscribe","data":{"channel":"news"},"cid":2},{"event":"echo","data":{"base64":true,"data":"AQID"},"cid":3}]`)
		p.wantCoded(c, `{"rid":2}`, `{"rid":3,"data":{"base64":true,"data":"AQID"}}`)
		p.sendCoded(c, `{"event":"#publish","data":{"channel":"news","data":[1,2.5]},"cid":4}`)
		p.wantCoded(c, `{"event":"#publish","data":{"channel":"news","data":[1,2.5]}}`, `{"rid":4}`)
		p.sendCoded(c, `{"event":"nobody","cid":5}`)
		f, err = p.nextFrame()
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := c.Decode(nil, f.Payload, 1<<20); !strings.Contains(string(got), "UnknownProcedureError") {
			t.Errorf("got %s", got)
		}

		answered := make(chan string)
		go func() {
			raw, err := s().Invoke(context.Background(), "ask", "?")
			answered <- string(raw) + " " + errorText(err)
		}()
		p.wantCoded(c, `{"event":"ask","data":"?","cid":1}`)
		p.sendCoded(c, `{"rid":1,"data":"!"}`)
		if got := <-answered; got != `"!" ` {
			t.Errorf("the client answered %s", got)
		}

		s().StartBatch()
		for _, event := range []string{"a", "b"} {
			if err := s().Transmit(context.Background(), event, 1); err != nil {
				t.Fatal(err)
			}
		}
		s().StartBatch().End()
		p.wantCoded(c, `[{"event":"a","data":1},{"event":"b","data":1}]`)

		time.Sleep(9 * time.Second)
		if f, err := p.nextFrame(); err != nil || f.Header.OpCode != ws.OpText || len(f.Payload) != 0 {
			t.Errorf("a ping is %v %q, %v", f.Header, f.Payload, err)
		}
		p.send("")
		p.quiet(2 * time.Second)
	})
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// MB-4, TR-28: what the codec cannot decode is an InvalidMessageError, and
// before the handshake the end of the connection.
func TestCodecRefusesOtherMessages(t *testing.T) {
	inBubble(t, socketcluster.Config{Codec: minbin.Codec{}, Limits: socketcluster.Limits{MessageSize: 4096, HandshakeMessageSize: 1024}}, func(w *world) {
		for _, send := range map[string]func(*peer){
			"text":           func(p *peer) { p.send(`{"event":"#handshake","cid":1}`) },
			"an empty frame": func(p *peer) { p.sendBinary("") },
			"cut off":        func(p *peer) { p.sendBinary("\x81\xa1e\x93") },
		} {
			p := w.dial()
			send(p)
			p.wantClose(4009, "")
		}

		p := w.dial()
		p.sendCoded(minbin.Codec{}, `{"event":"#handshake","data":{"authToken":null},"cid":1}`)
		if _, err := p.nextFrame(); err != nil {
			t.Fatal(err)
		}
		var failures []error
		socketcluster.On(w.only(), func(e socketcluster.ErrorEvent) { failures = append(failures, e.Err) })
		p.send("text")
		p.sendBinary("\xc1")
		p.quiet(time.Second)
		synctest.Wait()
		if len(failures) != 2 || !errors.Is(failures[0], wire.ErrInvalidMessage) || !errors.Is(failures[1], wire.ErrInvalidMessage) {
			t.Errorf("emitted %v", failures)
		}
		// 1,500 nulls in few bytes are more than the limit as JSON.
		p.sendBinary("\xdc\x05\xdc" + strings.Repeat("\xc0", 1500))
		p.wantClose(1009, "")
		synctest.Wait()
		if len(failures) != 4 || !errors.Is(failures[2], wire.ErrMessageTooLarge) || !strings.HasSuffix(failures[2].Error(), ": Limits.MessageSize is 4096") {
			t.Errorf("emitted %v", failures[2:])
		}
		if n := w.srv.Stats().LimitHits["Limits.MessageSize"]; n != 1 {
			t.Errorf("counted %d", n)
		}
	})
}

// failingCodec cannot encode.
type failingCodec struct{ minbin.Codec }

func (failingCodec) Encode(dst, _ []byte) ([]byte, error) { return dst, errors.New("no") }

// TR-22: a packet that cannot be encoded is dropped, and nothing else happens.
func TestCodecFails(t *testing.T) {
	inBubble(t, socketcluster.Config{Codec: failingCodec{}}, func(w *world) {
		p := w.dial()
		p.sendCoded(minbin.Codec{}, `{"event":"#handshake","data":{"authToken":null},"cid":1}`)
		p.quiet(time.Second)
		if err := w.only().Send(context.Background(), "still there"); err != nil {
			t.Fatal(err)
		}
		p.want("still there")
	})
}

// upload has bytes in a field.
type upload struct {
	Name string `json:"name"`
	Blob []byte `json:"blob"`
}

// coded is a peer that speaks JSON, or a codec that the test sees as JSON.
type coded struct {
	*peer
	codec wire.Codec
}

func (p coded) send(text string) {
	p.t.Helper()
	if p.codec == nil {
		p.peer.send(text)
	} else {
		p.sendCoded(p.codec, text)
	}
}

func (p coded) want(texts ...string) {
	p.t.Helper()
	if p.codec == nil {
		p.peer.want(texts...)
	} else {
		p.wantCoded(p.codec, texts...)
	}
}

// TR-21, QK-36: Go code reads the bytes that Go code and clients send, by all the
// ways there are, with and without a codec of binary messages.
func TestBytesIntoGo(t *testing.T) {
	const b, ab = `{"base64":true,"data":"AQL/"}`, `{"base64":true,"data":"AAEC/w=="}`
	want := []byte{1, 2, 255}
	for _, codec := range []wire.Codec{nil, minbin.Codec{}} {
		t.Run(fmt.Sprintf("%T", codec), func(t *testing.T) {
			inBubble(t, socketcluster.Config{Codec: codec}, func(w *world) {
				received := make(chan upload, 1)
				w.srv.Handle("prepend", socketcluster.Func(func(_ context.Context, in []byte) ([]byte, error) {
					return append([]byte{0}, in...), nil
				}))
				w.srv.Handle("upload", socketcluster.Func(func(_ context.Context, in upload) (upload, error) { return in, nil }))
				w.srv.Receive("upload", socketcluster.Recv(func(_ context.Context, in upload) error {
					received <- in
					return nil
				}))
				published := make(chan []byte, 2)
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				files, err := w.srv.Exchange().Subscribe(ctx, "files")
				if err != nil {
					t.Fatal(err)
				}
				go func() {
					for data, err := range socketcluster.Messages[[]byte](files) {
						if err != nil {
							t.Error(err)
						}
						published <- data
					}
				}()
				synctest.Wait()

				p := coded{w.dial(), codec}
				p.send(`{"event":"#handshake","data":{"authToken":null},"cid":1}`)
				if _, err := p.nextFrame(); err != nil {
					t.Fatal(err)
				}
				p.send(`{"event":"prepend","data":` + b + `,"cid":2}`)
				p.want(`{"rid":2,"data":` + ab + `}`)
				p.send(`{"event":"upload","data":{"name":"x","blob":` + b + `},"cid":3}`)
				p.want(`{"rid":3,"data":{"name":"x","blob":` + b + `}}`)
				p.send(`{"event":"prepend","data":{"base64":true},"cid":4}`)
				p.want(`{"rid":4,"error":{"message":"The data does not have the form that is expected here","name":"InvalidArgumentsError"}}`)
				p.send(`{"event":"upload","data":{"name":"y","blob":` + b + `}}`)
				if diff := cmp.Diff(upload{"y", want}, <-received); diff != "" {
					t.Error(diff)
				}
				p.send(`{"event":"#publish","data":{"channel":"files","data":` + b + `}}`)
				if diff := cmp.Diff(want, <-published); diff != "" {
					t.Error(diff)
				}
				if err := w.srv.Exchange().Publish(ctx, "files", want); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, <-published); diff != "" {
					t.Error(diff)
				}

				type answer struct {
					upload upload
					err    error
				}
				answered := make(chan answer, 1)
				s := w.only()
				go func() {
					out, err := socketcluster.InvokeAs[upload](ctx, s, "download", want)
					answered <- answer{out, err}
				}()
				call := `{"event":"download","cid":1,"data":` + b + `}`
				if codec != nil { // its decoder writes members in another order
					call = `{"event":"download","data":` + b + `,"cid":1}`
				}
				p.want(call)
				p.send(`{"rid":1,"data":{"name":"z","blob":` + b + `}}`)
				if a := <-answered; a.err != nil || !cmp.Equal(a.upload, upload{"z", want}) {
					t.Errorf("%+v, %v", a.upload, a.err)
				}
			})
		})
	}
}

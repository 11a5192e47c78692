package socketcluster_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/wire"
	"github.com/socketcluster-go/socketcluster/wire/minbin"
)

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
				w.srv.Handle("prepend", socketcluster.Func(func(_ context.Context, _ *socketcluster.Call, in []byte) ([]byte, error) {
					return append([]byte{0}, in...), nil
				}))
				w.srv.Handle("upload", socketcluster.Func(func(_ context.Context, _ *socketcluster.Call, in upload) (upload, error) { return in, nil }))
				w.srv.Receive("upload", socketcluster.Recv(func(_ context.Context, _ *socketcluster.Transmission, in upload) error {
					received <- in
					return nil
				}))
				published := make(chan []byte, 2)
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				go func() {
					for data, err := range socketcluster.Messages[[]byte](ctx, w.srv.Exchange(), "files") {
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

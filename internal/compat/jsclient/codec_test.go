package jsclient

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
	"github.com/socketcluster-go/socketcluster/wire/minbin"
)

const minBin = "sc-codec-min-bin"

// TR-28, MB-1: a stock client with the codec of npm does everything with a
// server that has the same one.
func TestCodecMinBin(t *testing.T) {
	n := startNode(t)
	srv, notes := startEchoWith(t, socketcluster.Config{Auth: auth.Options{Key: key}, Codec: minbin.Codec{}}, func(srv *socketcluster.Server) {
		srv.Handle("login", socketcluster.Proc(func(ctx context.Context, in claims) error {
			return socketcluster.FromContext(ctx).SetAuthToken(ctx, in)
		}))
		srv.Handle("fail", socketcluster.Proc(func(context.Context, socketcluster.None) error {
			return socketcluster.Errorf("SomeError", "some reason")
		}))
	})
	c := n.client(t, srv, nil, options{"codec": minBin})
	if st := c.connect(t); st.IsAuthenticated {
		t.Fatalf("status %+v", st)
	}
	wantEcho(t, c, "grüße 👋", "grüße 👋")
	c.do(t, "transmit", "note", "noted")
	wantNotes(t, notes, "noted")
	wantPublication(t, c, "published", "published")
	var batched []int
	if err := json.Unmarshal(c.do(t, "invokeBatched", "echo", []int{1, 2, 3}), &batched); err != nil || len(batched) != 3 {
		t.Errorf("batched calls gave %v, %v", batched, err)
	}
	_, err := c.try(t, "invoke", "fail", nil)
	wantJSError(t, err, "SomeError", "some reason")
	_, err = c.try(t, "invoke", "nobody", nil)
	wantJSError(t, err, "UnknownProcedureError", "The server has no such procedure")

	for s := range srv.Clients() {
		if err := s.KickOut(t.Context(), "news", "enough"); err != nil {
			t.Fatal(err)
		}
	}
	c.wait(t, "kickOut")

	c.do(t, "invoke", "login", claims{Username: "alice", Channels: []string{"news"}})
	c.wantUser(t, "alice")
	if st := c.reconnect(t); !st.IsAuthenticated {
		t.Errorf("after the login the status is %+v", st)
	}
	for s := range srv.Clients() {
		s.Deauthenticate(t.Context())
	}
	c.wait(t, "deauthenticate")
}

// TR-21: Go code reads the bytes that a stock client sends, with and without a
// codec.
func TestBytesFromJavaScript(t *testing.T) {
	n := startNode(t)
	for _, test := range []struct {
		name  string
		codec wire.Codec
		forms []string
	}{
		{"", nil, []string{"Buffer", "ArrayBuffer"}},
		{minBin, minbin.Codec{}, []string{"ArrayBuffer"}}, // a Buffer is no bytes for it
	} {
		srv := startServer(t, socketcluster.Config{Auth: auth.Options{Key: key}, Codec: test.codec}, func(srv *socketcluster.Server) {
			srv.Handle("upload", socketcluster.Func(func(_ context.Context, in struct {
				Name string `json:"name"`
				Blob []byte `json:"blob"`
			}) (string, error) {
				return in.Name + " " + hex.EncodeToString(in.Blob), nil
			}))
		})
		c := n.connected(t, srv, nil, options{"codec": test.name})
		for _, form := range test.forms {
			for _, want := range []string{"", "00", "0102ff", "6772c3bcc39f65"} {
				if got := decode[string](t, c.do(t, "invokeBytes", "upload", form, want)); got != form+" "+want {
					t.Errorf("codec %q: got %q, want %q", test.name, got, form+" "+want)
				}
			}
		}
	}
}

// MB-2, MB-4: the two codecs make the same bytes of the same packets, and read
// each other's.
func TestCodecMinBinAgreesWithNpm(t *testing.T) {
	n := startNode(t)
	packets := []string{
		`{"event":"#handshake","data":{"authToken":null},"cid":1}`,
		`{"event":"#handshake","data":{},"cid":1}`,
		`{"event":"#publish","data":{"channel":"a","data":{"x":1.5}}}`,
		`{"event":"#publish","data":{"channel":"a","data":null},"cid":2}`,
		`{"event":"#publish","data":{"channel":"a"}}`,
		`{"event":"#publish"}`,
		`{"event":"e"}`,
		`{"event":"e","cid":3}`,
		`{"event":"e","data":null}`,
		`{"event":"e","data":[0,127,128,255,256,65535,65536,2147483647,2147483648,4294967296,1e15,-1,-32,-33,-128,-129,-32768,-32769,-2147483648,-2147483649]}`,
		`{"event":"e","data":[0.5,-0.5,1e300,5e-324,true,false,null]}`,
		`{"event":"e","data":{"":"","long":"` + string(bytes.Repeat([]byte("x"), 300)) + `","wide":"` + string(bytes.Repeat([]byte("ü"), 40000)) + `"}}`,
		`{"event":"e","data":{"a":{"b":[[],{},[[{}]]]}}}`,
		`{"event":"ü👋","data":"\u0000\u001f\u2028"}`,
		`{"rid":1}`,
		`{"rid":1,"data":{"id":"x"}}`,
		`{"rid":1,"error":{"name":"E","message":"m"}}`,
		`[{"rid":1},{"event":"#publish","data":{"channel":"c","data":1}},{"event":"e","data":2,"cid":4}]`,
		`[]`,
		`{}`,
	}
	raw := make([]json.RawMessage, len(packets))
	for i, p := range packets {
		raw[i] = json.RawMessage(p)
	}
	theirs := decode[[]string](t, n.do(t, "encodeEach", minBin, raw))
	var ours []string
	for i, p := range packets {
		b, err := minbin.Codec{}.Encode(nil, []byte(p))
		if err != nil {
			t.Fatal(err)
		}
		ours = append(ours, hex.EncodeToString(b))
		if ours[i] != theirs[i] {
			t.Errorf("%.200s is\n%.200s, for npm\n%.200s", p, ours[i], theirs[i])
		}
	}
	read := decode[[]any](t, n.do(t, "decodeEach", minBin, ours))
	for i, hexed := range theirs {
		b, err := hex.DecodeString(hexed)
		if err != nil {
			t.Fatal(err)
		}
		message, err := minbin.Codec{}.Decode(nil, b, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		var got any
		if err := json.Unmarshal(message, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(withoutNulls(read[i]), withoutNulls(got)); diff != "" {
			t.Errorf("%.200s is read in another way (-npm +here):\n%s", packets[i], diff)
		}
	}
}

// withoutNulls leaves out the members of a packet, or of the packets of a
// batch, that are null: npm has them where nothing was sent.
func withoutNulls(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range []string{"error", "data", "cid"} {
			if v[name] == nil {
				delete(v, name)
			}
		}
	case []any:
		for i := range v {
			v[i] = withoutNulls(v[i])
		}
	}
	return v
}

package socketcluster_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/internal/ws/rfc6455"
)

// TR-1, TR-8, TR-33: what RFC 6455 and RFC 7692 ask of a server is kept by the
// whole one, with its handshake, queues and limits, as it is by the framing
// alone. Messages are not answered here, as they are no packets; pings are,
// and the close codes are the same.
func TestRFC6455(t *testing.T) {
	cases := rfc6455.Cases()
	for _, test := range []struct {
		name       string
		compressed bool
	}{{"plain", false}, {"deflate", true}} {
		t.Run(test.name, func(t *testing.T) {
			cfg := socketcluster.Config{Limits: socketcluster.Limits{MessageSize: rfc6455.Limit, Fragments: rfc6455.Fragments}}
			if test.compressed {
				cfg.Compression.Level = 1
			}
			inBubble(t, cfg, func(w *world) {
				t := w.t
				for _, c := range cases {
					if c.Mode == rfc6455.Plain && test.compressed || c.Mode == rfc6455.Compressed && !test.compressed {
						continue
					}
					conn, err := w.listen.Dial(context.Background())
					if err != nil {
						t.Fatal(err)
					}
					in, err := rfc6455.Upgrade(conn, socketcluster.DefaultPath, test.compressed)
					if err != nil {
						t.Fatal(err)
					}
					p := &deflatePeer{&peer{t, conn, in}}
					p.send(`{"event":"#handshake","data":{"authToken":null},"cid":1}`)
					p.data()
					pongs := slices.DeleteFunc(slices.Clone(c.Replies), isMessage)
					replies, code, err := c.Play(conn, in)
					if err != nil || code != c.Code {
						t.Errorf("%s %s (%s): closed with %d, %v; want %d", c.Number, c.Name, c.Rule, code, err, c.Code)
					}
					replies = slices.DeleteFunc(replies, func(r rfc6455.Reply) bool { return isMessage(r) && r.Payload == "" })
					if diff := cmp.Diff(pongs, replies); diff != "" && len(pongs)+len(replies) > 0 {
						t.Errorf("%s %s (%s): pongs (-want +got):\n%s", c.Number, c.Name, c.Rule, diff)
					}
				}
				synctest.Wait()
				if n := w.srv.ClientsCount(); n != 0 {
					t.Errorf("%d clients are left", n)
				}
			})
		})
	}
}

// isMessage tells the echo of a message, or a ping of the protocol, from a pong.
func isMessage(r rfc6455.Reply) bool { return r.Op == 1 || r.Op == 2 }

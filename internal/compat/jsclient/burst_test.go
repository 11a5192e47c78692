package jsclient

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
)

// A burst of 16 MB, eight times Limits.Outbox, reaches three stock clients in one process,
// which read as fast as they can, whole and in order: one that the server publishes,
// waiting or not, and one of a client.
func TestBurst(t *testing.T) {
	const count, size = 2000, 8 << 10
	publish := func(ctx context.Context) func(*testing.T, *node, *server) {
		return func(t *testing.T, _ *node, srv *server) {
			for i := range count {
				text := fmt.Sprint(i, " ")
				if err := srv.Exchange().Publish(ctx, "a", text+strings.Repeat("x", size-len(text))); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for name, burst := range map[string]func(*testing.T, *node, *server){
		"of the server":                 publish(context.Background()),
		"of the server without waiting": publish(socketcluster.NoWait(context.Background())),
		"of a client":                   func(t *testing.T, n *node, srv *server) { n.do(t, "burstPublish", srv.port, "a", count, size) },
	} {
		t.Run(name, func(t *testing.T) {
			n := startNode(t)
			srv := startServer(t, socketcluster.Config{Auth: auth.Options{Key: key}}, nil)
			n.do(t, "burstReaders", srv.port, 3, "a", count)
			burst(t, n, srv)
			type reader struct{ Got, Code int }
			for i, r := range decode[[]reader](t, n.do(t, "burstResults")) {
				if r != (reader{Got: count}) {
					t.Errorf("client %d got %d publications of %d, and the close code %d", i, r.Got, count, r.Code)
				}
			}
			n.do(t, "burstEnd")
		})
	}
}

package cluster

import (
	"log/slog"
	"testing"
)

// What NATS says of a route wakes those who watch routes, and nothing else does.
func TestRoutesAreWatched(t *testing.T) {
	l := &natsLog{Logger: slog.New(slog.DiscardHandler)}
	routes := l.routes()
	woken := func() bool {
		select {
		case <-routes:
			return true
		default:
			return false
		}
	}
	l.Noticef("Server is ready")
	l.Noticef("%s - Client connection created", "pipe - cid:4")
	if woken() {
		t.Error("woken by something else")
	}
	l.Noticef("%s - %s connection closed: %s", "127.0.0.1:6222 - rid:12", "Router", "Client Closed")
	l.Noticef("%s - %s connection closed: %s", "127.0.0.1:6222 - rid:13", "Router", "Client Closed")
	if !woken() || woken() {
		t.Error("not woken once by routes that have ended")
	}
}

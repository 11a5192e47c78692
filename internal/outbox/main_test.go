package outbox

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// peer makes a Peer of a connection and an owner.
func peer(c Conn, o Owner) Peer {
	if p, ok := c.(Preparer); ok {
		return struct {
			Conn
			Owner
			Preparer
		}{c, o, p}
	}
	return struct {
		Conn
		Owner
	}{c, o}
}

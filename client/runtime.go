package client

import (
	"log/slog"

	"github.com/socketcluster-go/socketcluster/internal/outbox"
	"github.com/socketcluster-go/socketcluster/internal/wheel"
	"github.com/socketcluster-go/socketcluster/internal/ws"
)

// Runtime has the goroutines that many clients of a process share: one that
// waits for what servers send, where the connections can be polled, one for all
// timers, and a few that write. A client that shares a Runtime has no goroutine
// while it is idle. On Linux, TCP connections without TLS can be polled.
type Runtime struct {
	wheel  *wheel.Wheel
	poller *ws.Poller
	crew   *outbox.Crew
}

// NewRuntime returns a runtime without clients. It has no goroutine until the
// first one connects.
func NewRuntime() *Runtime {
	return &Runtime{wheel: wheel.New(), poller: ws.NewPoller(slog.Default()), crew: new(outbox.Crew)}
}

// Close ends the runtime. Its clients must have been closed before.
func (r *Runtime) Close() {
	r.wheel.Close()
	_ = r.poller.Close() // fails only if it has been closed before
}

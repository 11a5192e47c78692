package socketcluster

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/calls"
	"github.com/socketcluster-go/socketcluster/wire"
)

// Invoke calls a procedure of the client and waits for its answer: until ctx
// ends or, if ctx has no deadline, for Config.Timeouts.Ack. See
// [Socket.Transmit] for data.
//
// The error is a TimeoutError if the client has not answered in time, a
// BadConnectionError if the connection was lost, or the error in the client's
// answer: errors.As finds a *[wire.Error] in each of them. Such a TimeoutError
// is also a [context.DeadlineExceeded], with or without a deadline of ctx. If
// ctx is canceled, the error is [context.Canceled]. Nothing is sent if ctx has
// ended before.
func (s *Socket) Invoke(ctx context.Context, event string, data any) (json.RawMessage, error) {
	return s.invokeAs(ctx, event, data, s.lock, nil)
}

// lock is the plain way to lock mu, for invokeAs.
func (s *Socket) lock() error {
	s.mu.Lock()
	return nil
}

// invokeAs is Invoke, but may change the socket in the same step. lock locks
// mu, or fails; change, if not nil, is called with mu held.
func (s *Socket) invokeAs(ctx context.Context, event string, data any, lock func() error, change func()) (json.RawMessage, error) {
	raw, err := encodeData(data)
	if err != nil {
		return nil, err
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(s.srv.cfg.Timeouts.Ack)
	}
	ended := calls.Ended(ctx, event) // without mu: ctx may be that of a socket
	if err := lock(); err != nil {
		return nil, err
	}
	if change != nil {
		change()
	}
	if s.state != Open || s.ending.Load() != 0 {
		s.mu.Unlock()
		s.drainEvents()
		return nil, s.notOpen("invoke", event)
	}
	if ended != nil && change == nil { // the client gets a change in any case
		s.mu.Unlock()
		return nil, ended
	}
	call := s.callsLocked().Begin(event, deadline)
	packet := wire.AppendInvoke(packetBuffer(event, raw), event, float64(call.ID), raw)
	if change != nil {
		s.sendToken(packet, nil)
	} else {
		s.sendLocked(packet)
	}
	s.mu.Unlock()
	if change != nil {
		s.drainEvents()
	}
	s.srv.watch.relieve(s) // which may be what called this
	return call.Wait(ctx)
}

// callsLocked returns the calls to the client. mu must be held.
//
// While calls wait, the limit of the inbox is lifted: otherwise messages in the
// inbox may wait for answers that the server never reads because the inbox is
// full.
func (s *Socket) callsLocked() *calls.Table {
	t := s.calls.Load()
	if t == nil {
		t = calls.New(s.srv.wheel, 0, s.inbox.Lift)
		s.calls.Store(t)
	}
	return t
}

// abortCalls ends the calls of a socket that has closed, or whose client has.
// None may begin afterwards.
func (s *Socket) abortCalls(code wire.CloseCode, reason string) {
	s.calls.Load().Abort(func(event string) error {
		return badConnection("disconnect", code, reason, "Event %s was aborted due to a bad connection", event)
	})
}

// InvokeAs is [Socket.Invoke] with the answer decoded into an Out by
// [wire.Unmarshal].
func InvokeAs[Out any](ctx context.Context, s *Socket, event string, data any) (out Out, err error) {
	raw, err := s.Invoke(ctx, event, data)
	if err != nil {
		return out, err
	}
	if err := wire.Unmarshal(raw, &out); err != nil {
		return out, fmt.Errorf("answer of %s: %w", event, err)
	}
	return out, nil
}

package socketcluster

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/wheel"
	"github.com/socketcluster-go/socketcluster/wire"
)

// pendingCalls are the calls to a client that wait for its answer. The
// socket's mu guards it.
type pendingCalls struct {
	last    uint64 // the last id given; ids count from 1 (RPC-2)
	waiting map[uint64]*pendingCall
}

// pendingCall is one of them.
type pendingCall struct {
	event  string
	timer  wheel.Timer
	answer chan answer // room for one
}

type answer struct {
	data json.RawMessage
	err  error
}

// abort ends the calls of a socket that has closed. Each was made while it was
// open.
func (c *pendingCalls) abort(code wire.CloseCode, reason string) {
	if c == nil {
		return
	}
	for _, call := range c.waiting {
		call.end(answer{err: badConnection("disconnect", code, reason, "Event %s was aborted due to a bad connection", call.event)})
	}
}

// Invoke calls a procedure of the client and waits for its answer: until ctx
// ends or, if ctx has no deadline, for Config.AckTimeout. See
// [Socket.Transmit] for data.
//
// The error is a TimeoutError when the client has not answered in time, a
// BadConnectionError when the connection was lost, or what the client has
// answered with; each of them is a *[wire.Error].
func (s *Socket) Invoke(ctx context.Context, event string, data any) (json.RawMessage, error) {
	return s.invokeAs(ctx, event, data, s.lock, nil)
}

// lock is the plain way to lock mu, for invokeAs.
func (s *Socket) lock() error {
	s.mu.Lock()
	return nil
}

// invokeAs is Invoke in one step with a change of the socket, if there is one.
// lock locks mu, or fails; change is called with mu held.
func (s *Socket) invokeAs(ctx context.Context, event string, data any, lock func() error, change func()) (json.RawMessage, error) {
	raw, err := encodeData(data)
	if err != nil {
		return nil, err
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(s.srv.cfg.AckTimeout)
	}
	call := &pendingCall{event: event, answer: make(chan answer, 1)}
	if err := lock(); err != nil {
		return nil, err
	}
	if change != nil {
		change()
	}
	if s.state != Open {
		s.mu.Unlock()
		s.drainEvents()
		return nil, s.notOpen("invoke", event)
	}
	if s.calls == nil {
		s.calls = &pendingCalls{waiting: make(map[uint64]*pendingCall)}
	}
	s.calls.last++
	id := s.calls.last
	if len(s.calls.waiting) == 0 {
		s.inbox.Lift(true)
	}
	s.calls.waiting[id] = call
	packet := wire.AppendInvoke(packetBuffer(event, raw), event, float64(id), raw)
	if change != nil {
		s.sendToken(packet, nil)
	} else {
		s.sendLocked(packet)
	}
	s.mu.Unlock()
	defer func() {
		s.forget(id)
		s.srv.wheel.Stop(&call.timer)
	}()
	s.srv.wheel.Set(&call.timer, deadline, call)
	if change != nil {
		s.drainEvents()
	}
	select {
	case a := <-call.answer:
		return a.data, a.err
	case <-ctx.Done():
		if ctx.Err() == context.DeadlineExceeded {
			return nil, call.timeout()
		}
		return nil, ctx.Err()
	}
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

func (c *pendingCall) timeout() error {
	return &wire.Error{Name: wire.ErrTimeout.Name, Message: fmt.Sprintf("Event response for %s event timed out", c.event)}
}

// Expire implements wheel.Task.
func (c *pendingCall) Expire(time.Time) { c.end(answer{err: c.timeout()}) }

// end gives the call its answer. Only the first one counts.
func (c *pendingCall) end(a answer) {
	select {
	case c.answer <- a:
	default:
	}
}

func (s *Socket) hasCalls() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls != nil && len(s.calls.waiting) > 0
}

// forget ends the wait for an answer.
func (s *Socket) forget(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.takeCall(id)
}

// takeCall returns a call that waits for its answer, which waits no more, or
// nil. mu must be held.
//
// While calls wait, the limit of the inbox is lifted: behind it the answers
// would never be read for which what is in front of it is waiting.
func (s *Socket) takeCall(id uint64) *pendingCall {
	if s.calls == nil {
		return nil
	}
	call := s.calls.waiting[id]
	if call == nil {
		return nil
	}
	delete(s.calls.waiting, id)
	if len(s.calls.waiting) == 0 {
		s.inbox.Lift(false)
	}
	return call
}

// answered gives an answer to its call. It reports false if there is none, as
// it was answered before or has timed out.
func (s *Socket) answered(p *wire.Packet) bool {
	id := uint64(p.ID)
	if p.ID < 1 || float64(id) != p.ID {
		return false
	}
	s.mu.Lock()
	call := s.takeCall(id)
	s.mu.Unlock()
	if call == nil {
		return false
	}
	a := answer{err: wire.ParseError(p.Error)}
	if a.err == nil {
		a.data = cloneRaw(p.Data)
	}
	call.end(a)
	return true
}

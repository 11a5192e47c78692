package socketcluster

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/socketcluster-go/socketcluster/internal/budget"
	"github.com/socketcluster-go/socketcluster/internal/hub"
	"github.com/socketcluster-go/socketcluster/internal/outbox"
	"github.com/socketcluster-go/socketcluster/internal/ws"
	"github.com/socketcluster-go/socketcluster/wire"
)

// None is no data, where a type is asked for: the data of a [Func] that takes
// or gives none.
type None struct{}

// encodeData makes the JSON of data. Nothing (nil, or None) stays nil, which
// is another thing than the JSON null.
func encodeData(data any) (json.RawMessage, error) {
	switch data.(type) {
	case nil, None, *None:
		return nil, nil
	}
	return wire.Marshal(data)
}

// Transmit sends an event that wants no answer. Data nil sends none; for the
// JSON null, give json.RawMessage("null"). Everything that a socket is sent
// leaves in the order of the calls. It does not wait for the client: an
// unread socket is disconnected when Limits.Outbox is reached.
func (s *Socket) Transmit(ctx context.Context, event string, data any) error {
	return s.transmit(event, data, nil)
}

// transmit sends an event in one step with a change of the socket, if there
// is one, which may call it off. change is called with mu held.
func (s *Socket) transmit(event string, data any, change func() bool) error {
	raw, err := encodeData(data)
	if err != nil {
		return err
	}
	s.mu.Lock()
	if change != nil {
		defer s.drainEvents()
		if !change() {
			s.mu.Unlock()
			return nil
		}
	}
	if s.state != Open {
		s.mu.Unlock()
		return s.notOpen("transmit", event)
	}
	s.sendLocked(wire.AppendTransmit(packetBuffer(event, raw), event, raw))
	s.mu.Unlock()
	return nil
}

// notOpen is the error for what is sent to a socket that is not open, which
// is emitted too (RPC-13).
func (s *Socket) notOpen(what, event string) error {
	err := badConnection("connectAbort", wire.CloseGoingAway, wire.CloseGoingAway.Text(),
		"Socket %s %s event was aborted due to a bad connection", what, event)
	s.emitError(err)
	return err
}

// Send sends a message as it is: no packet of the protocol, and never in a
// batch. A client gets it as a raw message.
func (s *Socket) Send(ctx context.Context, message string) error {
	return s.sendRaw(append(ws.NewBuffer(len(message)), message...), ws.OpText)
}

// SendBinary is [Socket.Send] for bytes.
func (s *Socket) SendBinary(ctx context.Context, message []byte) error {
	return s.sendRaw(append(ws.NewBuffer(len(message)), message...), ws.OpBinary)
}

func (s *Socket) sendRaw(buf []byte, op ws.Opcode) error {
	if s.State() == Closed {
		err := errNotWritable
		s.emitError(err)
		return err
	}
	s.pushFrame(ws.Seal(buf, op))
	return nil
}

// errNotWritable is what answering on a closed socket emits (RPC-9).
var errNotWritable = &wire.Error{Message: "WebSocket is not open: readyState 3 (CLOSED)"}

// packetBuffer is a buffer that a packet fits in: its name, its data, and
// what is around them.
func packetBuffer(name string, data []byte) []byte {
	return ws.NewBuffer(len(name) + len(data) + 64)
}

// outboundItem is a packet in front of the outbound middleware.
type outboundItem struct {
	packet      []byte // header space and payload; nil for a publication
	publication *PublishOut
}

// sendPacket sends a packet, given behind header space, after everything that
// was sent before it.
func (s *Socket) sendPacket(buf []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sendLocked(buf)
}

// sendLocked is sendPacket for those who hold mu, and change the state that
// the packet tells of in the same step.
func (s *Socket) sendLocked(buf []byte) {
	s.stats.prepared.Add(1)
	// While packets are in the queue, none may overtake them.
	if s.srv.middleware.has(lineOutbound) || s.outQueued.Load() > 0 {
		s.throughMiddleware(s.extend(), outboundItem{packet: buf})
		return
	}
	s.stats.sent.Add(1)
	s.writeLocked(buf)
}

// throughMiddleware queues an item for the outbound middleware. Limits.Outbox
// bounds what waits for it, as it bounds what has passed it.
func (s *Socket) throughMiddleware(x *extension, item outboundItem) {
	size := item.size()
	s.outQueued.Add(1)
	if s.addQueuedOut(size) > int64(s.srv.cfg.Limits.Outbox) {
		s.outQueued.Add(-1)
		s.addQueuedOut(-size)
		s.overflow()
		return
	}
	if !x.outbound.Push(item, (*outboundWorker)(s)) {
		s.outQueued.Add(-1)
		s.addQueuedOut(-size)
	}
}

// size is what an item counts for, with a lump sum for what is around it.
func (i *outboundItem) size() int64 {
	n := len(i.packet)
	if i.publication != nil {
		n = len(i.publication.Data) + len(i.publication.Channel)
	}
	return int64(n) + 256
}

// outboundWorker runs the outbound middleware of a socket.
type outboundWorker Socket

// Handle implements lane.Handler.
func (w *outboundWorker) Handle(item outboundItem) {
	s := (*Socket)(w)
	size := item.size()
	defer func() {
		s.addQueuedOut(-size)
		s.outQueued.Add(-1)
	}()
	defer s.stats.sent.Add(1)
	if a := item.publication; a != nil {
		if s.srv.runMiddleware(s.Context(), s, a) != nil {
			return
		}
		item.packet = wire.AppendPublish(packetBuffer(a.Channel, a.Data), a.Channel, a.Data)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writeLocked(item.packet)
}

// writeLocked puts a packet into the batch, if there is one, or into the
// outbox. mu must be held.
func (s *Socket) writeLocked(buf []byte) {
	if s.ext != nil && s.ext.batch.collecting {
		full := s.ext.batch.add(buf[ws.HeaderSpace:], s.srv.cfg.Limits.Outbox)
		s.countBatch()
		if full {
			s.overflow()
		}
		return
	}
	s.pushFrame(s.srv.seal(buf))
}

// pushFrame queues a frame. When there is no room for it, the client has not
// been reading, and the socket ends. A nil frame is one that could not be made.
func (s *Socket) pushFrame(frame []byte) {
	if frame == nil {
		return
	}
	if err := s.out.Push(frame); errors.Is(err, outbox.ErrFull) {
		s.overflow()
	}
}

// pushShared is pushFrame for a frame that other sockets get too. The tag is
// that of a publication; a reference to shared passes to the outbox.
func (s *Socket) pushShared(frame []byte, shared *budget.Shared, tag *hub.Subscription) {
	if frame == nil {
		shared.Release()
		return
	}
	if err := s.out.PushFrame(outbox.Frame[*hub.Subscription]{Bytes: frame, Shared: shared, Tag: tag}); errors.Is(err, outbox.ErrFull) {
		s.overflow()
	}
}

// pushPing queues a ping, and does not wait for the lock of the outbox. It may
// be called with mu held.
func (s *Socket) pushPing() {
	// A client that does not even take pings runs into its stall limit; one
	// ping more or less does not matter.
	ping := s.srv.pings[s.version]
	if !s.out.TryPush(ping) {
		go func() { _ = s.out.Push(ping) }()
	}
}

// respond answers a call. Answers wait for room, so that a client that calls
// without reading the answers holds up only itself.
func (s *Socket) respond(id float64, data []byte, failure *wire.Error) {
	var buf []byte
	if failure != nil {
		raw := failure.AppendJSON(nil)
		buf = wire.AppendErrorResponse(ws.NewBuffer(len(raw)+len(data)+64), id, raw, data)
	} else {
		buf = wire.AppendResponse(packetBuffer("", data), id, data)
	}
	s.awaitRoom(len(buf))
	s.sendPacket(buf)
}

// awaitRoom waits until there is room for an answer of n bytes.
func (s *Socket) awaitRoom(n int) {
	limit := s.srv.cfg.Limits.Outbox
	s.out.Wait(min(limit/2, limit-n))
}

// subscriber is the socket as the hub sees it.
type subscriber Socket

// Deliver implements hub.Subscriber. It runs under the channel's lock.
func (w *subscriber) Deliver(p *hub.Publication) {
	s := (*Socket)(w)
	if s.plain() {
		s.stats.prepared.Add(1)
		s.stats.sent.Add(1)
		frame := p.Frame
		if p.Deflated != nil && s.conn.Compressed() {
			frame = p.Deflated
		}
		p.Hold.Take()
		s.pushShared(frame, &p.Hold, nil)
		return
	}
	if s.srv.middleware.has(lineOutbound) {
		s.stats.prepared.Add(1)
		s.throughMiddleware(s.extended(), outboundItem{publication: &PublishOut{Socket: s, Channel: p.Channel, Data: slices.Clone(p.Data)}})
		return
	}
	s.sendPacket(wire.AppendPublish(packetBuffer(p.Channel, p.Data), p.Channel, p.Data))
}

// plain tells whether a publication can go out as the frame that all
// subscribers share: no middleware, no batch, nothing to wait behind.
func (s *Socket) plain() bool {
	if s.srv.middleware.has(lineOutbound) || s.outQueued.Load() > 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ext == nil || !s.ext.batch.collecting
}

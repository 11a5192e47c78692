package socketcluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/internal/account"
	"github.com/socketcluster-go/socketcluster/internal/hub"
	"github.com/socketcluster-go/socketcluster/internal/outbox"
	"github.com/socketcluster-go/socketcluster/internal/ws"
	"github.com/socketcluster-go/socketcluster/wire"
)

// None means no data where a type is needed: for a [Func] that takes or returns
// no data.
type None struct{}

// encodeData encodes data as JSON. No data (nil or None) stays nil, which is
// not the same as the JSON null.
func encodeData(data any) (json.RawMessage, error) {
	switch data.(type) {
	case nil, None, *None:
		return nil, nil
	}
	return wire.Marshal(data)
}

// Transmit sends an event that expects no answer. [wire.Marshal] encodes the
// data like encoding/json, but a []byte in the form that JavaScript clients
// read as bytes. If data is nil, no data is sent; for the JSON null, use
// json.RawMessage("null"). Everything is sent to a socket in the order of the
// calls.
//
// While half of Limits.Outbox or more waits for the client, Transmit waits
// until less does, or the socket closes. If ctx ends first, the error wraps
// that of ctx, and nothing is sent. With a context from [NoWait] it never
// waits.
func (s *Socket) Transmit(ctx context.Context, event string, data any) error {
	raw, err := encodeData(data)
	if err != nil {
		return err
	}
	if err := s.awaitRoomFor(ctx, len(raw)); err != nil {
		return err
	}
	s.mu.Lock()
	if s.state != Open {
		s.mu.Unlock()
		return s.notOpen("transmit", event)
	}
	s.sendLocked(transmitPacket(event, raw))
	s.mu.Unlock()
	return nil
}

// notOpen emits and returns the error of sending to a socket that is not open
// (RPC-13).
func (s *Socket) notOpen(what, event string) error {
	err := badConnection("connectAbort", wire.CloseGoingAway, wire.CloseGoingAway.Text(),
		"Socket %s %s event was aborted due to a bad connection", what, event)
	s.emitError(err)
	return err
}

// Send sends a message as it is, not as a packet of the protocol, and never in
// a batch. The client receives it as a raw message. Send waits for the client
// as [Socket.Transmit] does.
func (s *Socket) Send(ctx context.Context, message string) error {
	return s.sendRaw(ctx, append(ws.NewBuffer(len(message)), message...), ws.OpText)
}

// SendBinary is [Socket.Send] for bytes.
func (s *Socket) SendBinary(ctx context.Context, message []byte) error {
	return s.sendRaw(ctx, append(ws.NewBuffer(len(message)), message...), ws.OpBinary)
}

func (s *Socket) sendRaw(ctx context.Context, buf []byte, op ws.Opcode) error {
	if err := s.awaitRoomFor(ctx, len(buf)); err != nil {
		return err
	}
	if s.State() == Closed {
		err := errNotWritable
		s.emitError(err)
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ext != nil && s.ext.batch.barrier != nil {
		s.addToBatch(part{packet: buf, op: op})
		return nil
	}
	s.pushFrame(ws.Seal(buf, op))
	return nil
}

// errNotWritable is the error that is emitted for an answer on a closed socket
// (RPC-9).
var errNotWritable = &wire.Error{Message: "WebSocket is not open: readyState 3 (CLOSED)"}

// packetBuffer returns a buffer with room for a packet with this name and data.
func packetBuffer(name string, data []byte) []byte {
	return ws.NewBuffer(len(name) + len(data) + 64)
}

// publishPacket returns the packet of a publication, with its position if it has one.
func publishPacket(channel, position string, data []byte) []byte {
	if position == "" {
		return wire.AppendPublish(packetBuffer(channel, data), channel, data)
	}
	return wire.AppendPublishAt(ws.NewBuffer(len(channel)+len(position)+len(data)+80), channel, position, data)
}

// packetOf returns the packet of a publication with data that outbound middleware may have
// changed, or that of a report.
func packetOf(p *hub.Publication, data []byte) []byte {
	if p.Lost != nil {
		return lostPacket(p.Channel, p.Position, *p.Lost)
	}
	return publishPacket(p.Channel, p.Position, data)
}

// lostPacket returns the packet that reports what of a channel will not come.
func lostPacket(channel, position string, lost broker.Lost) []byte {
	raw := []byte("{}") // it is not known
	if lost.To > 0 {
		raw = fmt.Appendf(nil, `{"from":%d,"to":%d}`, lost.From, lost.To)
	}
	return wire.AppendLost(ws.NewBuffer(len(channel)+len(position)+len(raw)+80), channel, position, raw)
}

// transmitPacket returns the packet of a transmit to the client.
func transmitPacket(event string, data []byte) []byte {
	return wire.AppendTransmit(packetBuffer(event, data), event, data)
}

// kickOutPacket returns the packet that ends a subscription of the client.
func kickOutPacket(channel string, message []byte) []byte {
	return wire.AppendKickOut(packetBuffer(channel, message), channel, message)
}

// outboundItem is an item that waits for the outbound middleware: a packet
// after header space, a publication, or a place where the withheld publications
// of a subscription follow.
type outboundItem struct {
	packet      []byte
	sub         *hub.Subscription // of the publication
	publication *hub.Publication
	shared      *account.Shared // a reference to that of the publication, or nil
	follow      *hub.Subscription
	barrier     bool // instead of all this: later items wait for a pong
}

// release releases an item that is not sent.
func (i *outboundItem) release() {
	if i.shared != nil {
		i.shared.Release()
	}
}

// sendPacket sends a packet, which is after header space in buf, after
// everything that was sent before it.
func (s *Socket) sendPacket(buf []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sendLocked(buf)
}

// sendLocked is sendPacket for callers that hold mu, and change the state that
// the packet reports in the same step.
func (s *Socket) sendLocked(buf []byte) {
	s.stats.prepared.Add(1)
	if s.queuesOut() {
		s.throughMiddleware(s.extend(), outboundItem{packet: buf})
		return
	}
	s.stats.sent.Add(1)
	s.write(part{packet: buf})
}

// queuesOut reports whether packets go through the outbound lane: while there
// are packets in it, none may overtake them.
func (s *Socket) queuesOut() bool {
	return s.srv.middleware.has(lineOutbound) || s.outQueued.Load() > 0
}

// throughMiddleware queues an item for the outbound middleware. The outbox
// bounds items that wait for it together with those that have passed it.
func (s *Socket) throughMiddleware(x *extension, item outboundItem) {
	s.outQueued.Add(1)
	if err := s.out.Reserve(item.size(), item.cost()); err != nil {
		s.outQueued.Add(-1)
		item.release()
		s.unpushed(err)
		return
	}
	if !x.outbound.Push(item, (*outboundWorker)(s)) {
		s.unqueue(&item)
	}
}

// unqueue records that an item no longer waits, and releases it.
func (s *Socket) unqueue(item *outboundItem) {
	s.out.Reserve(-item.size(), -item.cost())
	s.outQueued.Add(-1)
	item.release()
}

// size returns the number of bytes for which an item counts, with a flat rate
// for everything besides its data.
func (i *outboundItem) size() int {
	n := len(i.packet)
	if i.publication != nil {
		n = len(i.publication.Data) + len(i.publication.Channel)
	}
	return n + itemCost
}

// itemCost is the memory of an item besides its packet or publication.
const itemCost = 256

// cost returns the number of bytes for which an item counts in the budget,
// where a publication counts separately.
func (i *outboundItem) cost() int {
	if i.publication != nil {
		return itemCost
	}
	return i.size()
}

// outboundWorker runs the outbound middleware of a socket.
type outboundWorker Socket

// Handle implements lane.Handler.
func (w *outboundWorker) Handle(item outboundItem) {
	s := (*Socket)(w)
	defer s.unqueue(&item)
	switch {
	case item.barrier:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.raiseBarrier()
	case item.follow != nil:
		s.followUp(item.follow)
	case item.publication != nil:
		out := withheld{sub: item.sub, publication: item.publication, shared: item.shared}
		item.shared = nil // is passed on
		s.sendOut(out)
	default:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.stats.sent.Add(1)
		s.write(part{packet: item.packet})
	}
}

// followUp sends the withheld publications of a subscription that has been
// approved. A publication stays in its place until the outbound middleware has
// allowed it within one epoch. If the epoch ends, another approval will follow,
// or none.
func (s *Socket) followUp(sub *hub.Subscription) {
	for {
		s.mu.Lock()
		i := s.firstWithheld(sub)
		if i < 0 || !s.approved(sub, s.srv.moment(time.Now())) {
			s.mu.Unlock()
			return
		}
		p, epoch := s.ext.withheld[i].publication, s.token.epoch.Load()
		s.mu.Unlock()
		data, blocked := s.askOut(p)
		s.mu.Lock()
		i = s.firstWithheld(sub)
		if i < 0 || s.ext.withheld[i].publication != p || !s.stillApproved(sub, epoch) {
			s.mu.Unlock()
			return
		}
		s.passOut(s.takeWithheldAt(i), data, blocked)
		s.mu.Unlock()
	}
}

// maxAsks is the number of times that middleware runs for one action while the
// token keeps changing, perhaps because that middleware changes it.
const maxAsks = 8

// sendOut sends a publication through the outbound middleware within one epoch.
// If its subscription is not approved, it is withheld, after those that already
// are.
func (s *Socket) sendOut(w withheld) {
	for range maxAsks {
		s.mu.Lock()
		if s.state == Closed || w.sub.Epoch == lostEpoch {
			s.mu.Unlock()
			s.discard(&w)
			return
		}
		if s.withholds(w.sub) || !s.approved(w.sub, s.srv.moment(time.Now())) {
			s.withhold(w)
			s.mu.Unlock()
			return
		}
		epoch := s.token.epoch.Load()
		s.mu.Unlock()
		data, blocked := s.askOut(w.publication)
		s.mu.Lock()
		if s.stillApproved(w.sub, epoch) {
			s.passOut(w, data, blocked)
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
	}
	s.discard(&w)
	s.emitError(errTokenUnsteady)
}

// stillApproved reports whether a subscription is still approved after the
// outbound middleware has run: no other epoch has begun, and the token has not
// expired. mu must be held.
func (s *Socket) stillApproved(sub *hub.Subscription, epoch uint32) bool {
	return s.token.epoch.Load() == epoch && s.approved(sub, s.srv.moment(time.Now()))
}

// askOut runs the outbound middleware for a publication, whose data it may
// change. A report is none.
func (s *Socket) askOut(p *hub.Publication) (data json.RawMessage, blocked bool) {
	if p.Lost != nil {
		return nil, false
	}
	a := &PublishOut{Socket: s, Channel: p.Channel, Data: slices.Clone(p.Data)}
	// This lane must not wait for something that waits for this lane.
	blocked = s.srv.runMiddleware(NoWait(s.Context()), s, a) != nil
	return a.Data, blocked
}

// passOut applies the decision of the outbound middleware about a publication.
// mu must be held.
func (s *Socket) passOut(w withheld, data json.RawMessage, blocked bool) {
	if blocked {
		s.discard(&w)
		return
	}
	s.stats.sent.Add(1)
	p := w.publication
	s.note(p.Channel, p.Position, false)
	s.write(part{packet: packetOf(p, data), sub: w.sub, publication: p})
	w.release()
}

// write puts a packet into the batch, if there is one, or into the outbox. mu
// must be held.
func (s *Socket) write(p part) {
	if s.batching() {
		p.batched = s.ext.batch.collecting
		s.addToBatch(p)
		return
	}
	s.writeAlone(p)
}

// writeAlone puts a packet into the outbox as a message of its own. mu must be held.
func (s *Socket) writeAlone(p part) {
	frame := outbox.Frame[cargo]{Bytes: s.srv.seal(p.packet)}
	if p.sub != nil && s.guarded() {
		frame.Tag = cargo{sub: p.sub, publication: p.publication}
	}
	s.pushTagged(frame, false)
}

// pushFrame queues a frame that is not a publication; see pushTagged.
func (s *Socket) pushFrame(frame []byte) { s.pushTagged(outbox.Frame[cargo]{Bytes: frame}, false) }

// pushTagged queues a frame. It ignores a frame without bytes, which could not
// be made. With later, the publisher has it written.
func (s *Socket) pushTagged(frame outbox.Frame[cargo], later bool) {
	if frame.Bytes == nil {
		if frame.Shared != nil {
			frame.Shared.Release()
		}
		return
	}
	push := s.out.PushFrame
	if later {
		push = s.out.PushLater
	}
	s.unpushed(push(frame))
}

// unpushed ends a socket if the outbox has refused a frame because the client
// has not read enough.
func (s *Socket) unpushed(err error) {
	if errors.Is(err, outbox.ErrSlow) {
		s.overflow()
	}
}

// pushPing queues a ping before all waiting frames, behind which a slow client
// would look dead, and the server would look dead to the client. It does not
// wait for the lock of the outbox. mu must be held.
func (s *Socket) pushPing(at moment) {
	ping := s.nextPingFrame(at)
	if queued, overtakes, ok := s.out.TryPushFirst(ping); ok {
		s.pinged(queued, overtakes)
		return
	}
	go func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.pinged(s.out.PushFirst(ping))
	}()
}

// respond answers a call, unless the socket has closed before. Answers wait for room,
// so that a client that calls without reading the answers delays only itself.
func (s *Socket) respond(id float64, data []byte, failure *wire.Error) (open bool) {
	buf := response(id, data, failure)
	if open = s.awaitRoom(len(buf)); open {
		s.sendPacket(buf)
	}
	return open
}

// response returns the packet that answers a call.
func response(id float64, data []byte, failure *wire.Error) []byte {
	if failure == nil {
		return wire.AppendResponse(packetBuffer("", data), id, data)
	}
	raw := failure.AppendJSON(nil)
	return wire.AppendErrorResponse(ws.NewBuffer(len(raw)+len(data)+64), id, raw, data)
}

// awaitRoom waits until there is room for an answer of n bytes. It returns false if the
// socket has closed before.
func (s *Socket) awaitRoom(n int) (open bool) {
	limit := s.srv.cfg.Limits.Outbox
	room := min(limit/2, limit-n)
	s.mu.Lock()
	open = s.state != Closed
	over := s.batchFull(room)
	s.mu.Unlock()
	if over != nil {
		<-over
	}
	s.out.Wait(context.Background(), room)
	return open
}

// batchFull returns the channel for the end of the barrier if the barrier holds
// back more than room bytes. mu must be held.
func (s *Socket) batchFull(room int) <-chan struct{} {
	if s.ext == nil || s.ext.batch.barrier == nil || s.ext.batch.bytes <= room {
		return nil
	}
	return s.ext.batch.barrier.over
}

// subscriber is the socket as a subscriber of the hub.
type subscriber Socket

package socketcluster

import (
	"encoding/json"
	"time"

	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/internal/handling"
	"github.com/socketcluster-go/socketcluster/wire"
)

// A publication to a channel that the broker keeps may wait for the storage, for many seconds. It
// holds up only what the same client publishes on that channel, and other things for publishPatience
// at most, so that these come in order as long as the storage is there.

// publishPatience is for how long a publication holds up what the same client sends after it, its slow
// subscribers and the handlers of its event included.
const publishPatience = 250 * time.Millisecond

// publication is one of a client, on its way to the broker.
type publication struct {
	from     *Socket
	channel  string
	id       string // "" if it has none
	data     json.RawMessage
	answered bool    // the client waits for an answer
	call     float64 // the id of the call then
	approval

	over chan struct{} // closed when it does not wait any more; nil if nothing is beside it
	late bool          // publishPatience has passed; the socket's mu guards it
}

func (s *Socket) handlePublish(p *wire.Packet, isCall bool, expired error) {
	if s.srv.cfg.DisableClientPublish {
		s.refuse(p, isCall, invalidAction("Client publish feature is disabled"))
		return
	}
	pub, ok := wire.ParsePublish(p.Data)
	if !ok {
		s.refuse(p, isCall, invalidAction("Publish channel name was malformatted"))
		return
	}
	if err := s.checkChannelName(pub.Channel, "Publish"); err != nil {
		s.refuse(p, isCall, err)
		return
	}
	id, ok := publicationID(pub.ID)
	if !ok {
		s.refuse(p, isCall, invalidAction("The id of a publication must be a text of 1 to %d bytes", maxPublicationID))
		return
	}
	one := publication{from: s, channel: pub.Channel, id: id, data: pub.Data, answered: isCall, call: p.ID, approval: approval{given: pub.Data}}
	var blocked *wire.Error
	one.epoch, blocked = s.askMiddleware(one.actionType(), expired, func(expired error) *wire.Error { return one.ask(expired) })
	switch {
	case blocked != nil:
		one.refuse(blocked)
	case s.mayWaitToPublish(pub.Channel):
		s.publishAside(one)
	default:
		one.publish()
	}
}

// mayWaitToPublish reports whether a publication may wait for the storage, for a subscription that
// does, as the client gets what it publishes behind it, or for others that did.
func (s *Socket) mayWaitToPublish(channel string) bool {
	h, ok := s.srv.cfg.Broker.(broker.Historian)
	if !ok || h.Keeps(channel) {
		return ok
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ext != nil && (s.ext.joins[channel] != nil || s.ext.queues[queueName{ofPublications, channel}] != nil)
}

// publicationQueues returns the queues with publications that are not done.
func (s *Socket) publicationQueues() (all []*nameQueue) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ext == nil || s.ext.publishing == 0 {
		return nil
	}
	for name, q := range s.ext.queues {
		if name.kind == ofPublications {
			all = append(all, q)
		}
	}
	return all
}

// publishAside publishes behind what the client has published on the channel before. It returns when that
// is done or takes longer than publishPatience. It does not wait if another publication has taken
// longer. With as many as Limits.Calls of the socket, it waits until this one is done. They take no
// slots: handlers of calls may wait for them.
func (s *Socket) publishAside(one publication) {
	one.given, one.data = cloneRaw(one.given), cloneRaw(one.data) // out of the message
	one.over = make(chan struct{})
	p := &one
	s.mu.Lock()
	x := s.extend()
	behind, full := x.late > 0, x.publishing >= s.srv.cfg.Limits.Calls
	x.publishing++
	s.enqueue(p.queue(), task{packet: p, size: p.size(), slotless: true}, handling.Options{}, false)
	if full {
		s.srv.hit(limitCalls)
		select {
		case <-p.over:
		case <-s.Done():
		}
		return
	}
	if behind {
		return
	}
	s.waitFor(p.over, publishPatience)
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-p.over:
	default:
		p.late = true
		x.late++
	}
}

func (p *publication) socket() *Socket    { return p.from }
func (p *publication) queue() queueName   { return queueName{ofPublications, p.channel} }
func (p *publication) size() int          { return len(p.channel) + len(p.data) + len(p.given) }
func (p *publication) actionType() string { return (*PublishIn)(nil).Type() }

func (p *publication) ask(expired error) *wire.Error {
	a := &PublishIn{Socket: p.from, Channel: p.channel, Data: cloneRaw(p.given), AuthTokenExpired: expired}
	blocked := p.from.srv.runMiddleware(p.from.Context(), p.from, a)
	p.data = a.Data
	return blocked
}

func (p *publication) refuse(failure *wire.Error) {
	if p.answered {
		p.from.respond(p.call, nil, failure)
	}
}

// bind and clone are for handlers, which publications do not have.
func (p *publication) bind() (o handling.Options, ok bool) { return o, true }
func (p *publication) clone() packet                       { return p }

// serve publishes when the turn of the publication has come. The token may have changed meanwhile.
func (p *publication) serve() {
	defer p.ended()
	p.from.awaitJoined(p.channel)
	if stillIn(p) {
		p.publish()
	}
}

// ended takes note that the publication does not wait any more.
func (p *publication) ended() {
	s := p.from
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ext.publishing--
	if p.late {
		s.ext.late--
	}
	close(p.over)
}

// publish passes the publication to the broker, and answers the call.
func (p *publication) publish() {
	s := p.from
	position, err := s.srv.exchange.publish(s.Context(), s, p.channel, p.id, p.data)
	if err != nil {
		s.emitError(err)
		if p.answered {
			s.respond(p.call, nil, s.srv.publicError(err, "channel", p.channel))
		}
		return
	}
	if !p.answered {
		return
	}
	answer, err := pastAnswer(broker.Past{Begin: position})
	if err != nil {
		s.emitError(err) // the position of a broker that is no text
	}
	s.respond(p.call, answer, nil)
}

// maxPublicationID is the length of the longest id of a publication, in bytes.
const maxPublicationID = 256

// publicationID returns the id that a client gives to a publication, "" for none.
func publicationID(raw []byte) (id string, ok bool) {
	if raw == nil || string(raw) == "null" {
		return "", true
	}
	id, ok = wire.ParseString(raw)
	return id, ok && id != "" && len(id) <= maxPublicationID
}

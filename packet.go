package socketcluster

import (
	"encoding/json"

	"github.com/socketcluster-go/socketcluster/wire"
)

// packet is what a client has sent for the application to handle: a *[Call] or a
// *[Transmission].
type packet interface {
	socket() *Socket
	queue() queueName
	size() int // of its name and data
	approved() *approval

	// ask asks the inbound middleware, and takes the data that it leaves.
	ask(expired error) *wire.Error
	// refuse answers who waits for an answer.
	refuse(failure *wire.Error)
	// handler returns what runs the server's handler, nil if there is none, and how
	// many may run at a time.
	handler() (run func(), concurrent int)
	// clone returns a copy for one of several loops.
	clone() packet
}

// approval is what has to be known of a packet, until it is handled, to ask middleware
// about it again.
type approval struct {
	given json.RawMessage // the data as it came
	epoch uint32          // in which middleware has let it in
}

func (a *approval) approved() *approval { return a }

// letIn asks the inbound middleware about a packet.
func letIn(p packet, expired error) (blocked *wire.Error) {
	p.approved().epoch, blocked = p.socket().approval(expired, p.ask)
	return blocked
}

// stillIn asks middleware again if the token has changed since the packet was let in,
// and refuses one that is not to be handled any more.
func stillIn(p packet) bool {
	s := p.socket()
	switch {
	case s.dropsWaiting():
		return false
	case !s.srv.middleware.has(lineInbound) || s.token.inForce(p.approved().epoch):
		return true
	}
	if blocked := letIn(p, s.expireNow()); blocked != nil {
		p.refuse(blocked)
		return false
	}
	return true
}

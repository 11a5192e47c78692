package socketcluster

import (
	"encoding/json"

	"github.com/socketcluster-go/socketcluster/internal/handling"
	"github.com/socketcluster-go/socketcluster/wire"
)

// packet is a packet from a client for the application to handle: a *[Call] or
// a *[Transmission].
type packet interface {
	socket() *Socket
	queue() queueName
	size() int // of its name and data
	approved() *approval

	// actionType is the type of its action, which ask passes through the inbound
	// middleware. ask keeps the data that it leaves.
	actionType() string
	ask(expired error) *wire.Error
	// refuse sends the error if the client waits for an answer.
	refuse(failure *wire.Error)
	// bind finds the server's handler, which serve runs. It returns false if
	// there is none.
	bind() (o handling.Options, ok bool)
	serve()
	// clone returns a copy for one of several loops.
	clone() packet
}

// approval has what is needed to run middleware for a packet again before it is
// handled.
type approval struct {
	given json.RawMessage // the data as it arrived
	epoch uint32          // in which middleware has allowed it
}

func (a *approval) approved() *approval { return a }

// letIn runs the inbound middleware for a packet.
func letIn(p packet, expired error) (blocked *wire.Error) {
	p.approved().epoch, blocked = p.socket().askMiddleware(p.actionType(), expired, p.ask)
	return blocked
}

// stillIn runs middleware again if the token has changed since the packet was
// allowed, and refuses a packet that must no longer be handled.
func stillIn(p packet) bool {
	s := p.socket()
	switch {
	case s.dropsWaiting():
		return false
	case !s.srv.middleware.sees(lineInbound, p.actionType()) || s.token.inForce(p.approved().epoch):
		return true
	}
	if blocked := letIn(p, s.expireNow()); blocked != nil {
		p.refuse(blocked)
		return false
	}
	return true
}

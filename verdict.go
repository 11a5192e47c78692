package socketcluster

import (
	"fmt"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// verdict is the answer to #authenticate. The events of the decision are told before
// it is given (AUTH-35). What one of their handlers does to the token comes behind
// the answer all the same, as the client would take the answer for the last word;
// so the answer leaves at once then. The socket's mu guards it.
type verdict struct {
	id    float64
	token *auth.Token // that was accepted, or nil
	told  bool        // by then the client had been told of a decision of the server's
	err   *wire.Error // why it was not accepted
	bad   bool        // it never will be
	given bool
}

// refuse makes the verdict that a token is not accepted.
func (v *verdict) refuse(s *Socket, err error) {
	v.err, v.bad = s.srv.publicError(err, "step", "authenticate"), isBadToken(err)
}

// pronounce gives the answer, as things are by now: a handler may have taken the
// token away. mu must be held.
func (s *Socket) pronounce(v *verdict) {
	s.ext.verdict = nil
	v.given = true
	switch {
	case v.token != nil:
		s.sendLocked(response(v.id, fmt.Appendf(nil, `{"isAuthenticated":%t,"authError":null}`, s.token.Load() != nil), nil))
	case v.bad:
		s.sendLocked(response(v.id, s.unauthenticatedData(v.err), v.err))
	default:
		s.sendLocked(response(v.id, authStatus(v.err), nil))
	}
	s.mustAct(false)
}

// conclude gives the answer if no change of the token has done so, and tells the
// client what else it has to know: that its token is gone for good, or what the
// server has done to it while it was deciding, as the answer makes the client
// forget that.
func (s *Socket) conclude(v *verdict) {
	s.awaitRoom(0)
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.given || s.state != Open {
		return
	}
	s.pronounce(v)
	now := s.token.Load()
	switch {
	case now == nil && v.bad:
		s.forgetRejected()
	case now == nil && v.told:
		s.sendRemoveAuthToken(nil)
	case now != nil && now != v.token && s.token.origin == fromClient:
		if raw, err := encodeData(tokenData{now.Signed()}); err == nil {
			s.sendToken(wire.AppendTransmit(packetBuffer(eventSetAuthToken, raw), eventSetAuthToken, raw), nil)
		}
	}
}

// forgetRejected tells the client to forget a token that was not accepted. As the
// answer says the same, the two may reach it in one turn (HS-14). mu must be held.
func (s *Socket) forgetRejected() {
	s.sendLocked(wire.AppendTransmit(packetBuffer(eventRemoveAuthToken, nil), eventRemoveAuthToken, nil))
}

package socketcluster

import (
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// handleHandshake runs the steps of HS-16 in order.
func (s *Socket) handleHandshake(p *wire.Packet, isCall bool, state State) {
	if state != Connecting || !isCall {
		text := "Handshake request was malformatted"
		if state != Connecting {
			text = "The socket has completed its handshake already"
		}
		s.emitError(invalidAction("%s", text))
		s.closeWith(wire.CloseHandshakeRejected)
		return
	}
	s.beginDecision()
	id := s.verifyHandshake(p.Data)
	action := &Handshake{Request: s.Request(), Socket: s, SignedAuthToken: id.signed, AuthToken: id.token, AuthTokenError: id.err}
	if blocked := s.srv.runMiddleware(s.Context(), s, action); blocked != nil {
		s.rejectHandshake(p.ID, blocked)
		return
	}
	if s.State() == Closed {
		return
	}
	if id.token == nil {
		if id.err != nil {
			s.reject(id.err, id, true, nil)
		}
	} else if emitted, err := s.approveToken(id); err != nil {
		s.reject(err, id, !emitted, nil)
		id.token, id.err = nil, err
	}
	s.conn.SetReadLimit(int64(s.srv.cfg.Limits.MessageSize))
	err := s.open(p.ID, id)
	if id.token != nil && err != nil && err != errNotWritable {
		if err != errOverruled { // it was revoked, or that is unknown
			s.reject(err, id, true, nil)
			id.err = err
		}
		id.token = nil
		err = s.open(p.ID, id)
	}
	if err == nil {
		s.afterHandshake(id)
	}
}

// afterHandshake does everything that follows the answer to a handshake.
func (s *Socket) afterHandshake(id identity) {
	s.update(func() {
		if id.sent && s.token.Load() == nil && isBadToken(id.err) {
			s.forgetRejected()
		}
		if d := s.srv.cfg.Batching.OnHandshake; d > 0 {
			s.startBatching(time.Now().Add(d))
		}
	})

	// This comes after the connect event, whose handlers may add listeners for
	// these events.
	s.update(func() {
		if !s.srv.cfg.Compat.KeepRequest {
			s.forgetUpgrade()
		}
		if id.token != nil && s.token.Load() == id.token && s.state == Open {
			s.announceToken(id.token, AuditTokenAccepted)
		}
	})
	if id.token != nil && id.origin != fromClient {
		s.catchUp(id.token)
	}
}

// open completes the handshake: it changes the state, sets the token, sends the
// answer and queues the event in one step, so that nothing is sent before the
// answer, and no event is emitted before the connect event. It fails if the
// token has been revoked, if the server has logged out the socket meanwhile, or
// if the socket has closed.
func (s *Socket) open(cid float64, id identity) error {
	answer := s.handshakeAnswer(id)
	if id.token == nil {
		s.mu.Lock()
	} else if err := s.lockUnlessRevoked(id.token); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if s.state != Connecting {
		return errNotWritable
	}
	if id.token != nil && s.token.overruled {
		return errOverruled
	}
	s.state = Open
	s.srv.opened()
	s.deadline = 0
	s.setToken(id.token, id.origin)
	s.stats.prepared.Add(1)
	s.stats.sent.Add(1)
	s.pushFrame(s.srv.seal(response(cid, answer, nil)))
	s.mustAct(true)
	queue(s, ConnectEvent{Socket: s, ID: s.ID(), PingTimeout: s.srv.cfg.Timeouts.Ping, IsAuthenticated: id.token != nil, AuthError: id.err})
	return nil
}

// handshakeAnswer returns the data of the answer to a handshake (HS-12).
func (s *Socket) handshakeAnswer(id identity) []byte {
	answer := append(make([]byte, 0, 128), `{"id":`...)
	answer = wire.AppendString(answer, s.ID())
	answer = append(answer, `,"pingTimeout":`...)
	answer = strconv.AppendInt(answer, s.srv.cfg.Timeouts.Ping.Milliseconds(), 10)
	if id.err != nil {
		answer = append(answer, `,"authError":`...)
		answer = s.srv.publicError(id.err, "step", "handshake").AppendJSON(answer)
	}
	answer = append(answer, `,"isAuthenticated":`...)
	return append(strconv.AppendBool(answer, id.token != nil), '}')
}

// errOverruled is the error for a token if the server decided about the
// socket's token while middleware was running.
var errOverruled = errors.New("socketcluster: the socket was logged out meanwhile")

// verifyHandshake verifies the token of a handshake or, if that has none, of
// the upgrade request. It calls the engine even without a token, because
// another kind of engine may identify the client by other means; it is then no
// error if the engine does not.
func (s *Socket) verifyHandshake(data []byte) identity {
	raw, kind := wire.ParseHandshakeToken(data)
	if kind == wire.TokenOther {
		return identity{sent: true, err: auth.ErrTokenNotString}
	}
	if len(raw) == 0 {
		if id := s.verifyRequest(); id.origin != fromClient {
			return id
		}
	}
	id := identity{signed: string(raw), sent: len(raw) > 0}
	id.token, id.revoked, id.err = s.verify(id.signed)
	if !id.sent && id.err != nil {
		return identity{}
	}
	return id
}

// rejectHandshake answers with the error and closes with its statusCode.
func (s *Socket) rejectHandshake(id float64, blocked *wire.Error) {
	code := wire.CloseHandshakeRejected
	if v, ok := blocked.Field("statusCode"); ok {
		if c, ok := asCloseCode(v); ok {
			code = c
		}
	}
	public := blocked.With("statusCode", int(code))
	s.respond(id, s.rejectionData(code), public)
	s.closeWith(code)
}

// asCloseCode reads a field that an application or JSON has set.
func asCloseCode(v any) (wire.CloseCode, bool) {
	var code wire.CloseCode
	switch v := v.(type) {
	case int:
		code = wire.CloseCode(v)
	case float64:
		code = wire.CloseCode(v)
	case wire.CloseCode:
		code = v
	case json.RawMessage:
		n, err := strconv.Atoi(string(v))
		if err != nil {
			return 0, false
		}
		code = wire.CloseCode(n)
	}
	return code, code.Sendable()
}

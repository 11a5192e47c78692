package socketcluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// handshakeStatus is the answer to a handshake (HS-12).
type handshakeStatus struct {
	ID              string      `json:"id"`
	PingTimeout     int64       `json:"pingTimeout"` // milliseconds
	AuthError       *wire.Error `json:"authError,omitempty"`
	IsAuthenticated bool        `json:"isAuthenticated"`
}

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
	srv := s.srv
	s.beginDecision()
	given := s.verifyHandshake(p.Data)
	action := &Handshake{Request: s.Request(), Socket: s, SignedAuthToken: given.signed, AuthToken: given.token, AuthTokenError: given.err}
	if blocked := srv.runMiddleware(s.Context(), s, action); blocked != nil {
		s.rejectHandshake(p.ID, blocked)
		return
	}
	if s.State() == Closed {
		return
	}
	supplied := given.signed != "" || given.err != nil || given.origin != fromClient
	if given.token != nil {
		err := s.askAuthenticate(given)
		if err != nil {
			s.reject(err, given, false, nil)
		} else if err = s.recheckExpiry(given); err != nil {
			s.reject(err, given, true, nil)
		}
		if err != nil {
			given.token, given.err = nil, err
		}
	} else if given.err != nil {
		s.reject(given.err, given, true, nil)
	}
	s.conn.SetReadLimit(int64(srv.cfg.Limits.MessageSize))
	err := s.open(p.ID, given)
	if given.token != nil && err != nil && err != errNotWritable {
		if err != errOverruled { // it was revoked, or nobody knows
			s.reject(err, given, true, nil)
			given.err = err
		}
		given.token = nil
		err = s.open(p.ID, given)
	}
	if err != nil {
		return
	}
	// A token of the request is none that the client could forget.
	if isBadToken(given.err) && supplied && given.origin == fromClient {
		s.mu.Lock()
		if s.token.Load() == nil {
			s.forgetRejected()
		}
		s.mu.Unlock()
	}
	if d := srv.cfg.Batching.OnHandshake; d > 0 {
		s.mu.Lock()
		s.startBatching(time.Now().Add(d))
		s.mu.Unlock()
	}
	s.drainEvents()

	// Only now, as the handlers of the connect event may want to hear these.
	s.mu.Lock()
	if !srv.cfg.Compat.KeepRequest {
		s.forgetUpgrade()
	}
	if given.token != nil && s.token.Load() == given.token && s.state == Open {
		s.queueAuthenticated(given.token, AuditTokenAccepted)
		s.armRenewal()
	}
	s.mu.Unlock()
	s.drainEvents()
	if given.token != nil && given.origin != fromClient {
		s.catchUp(given.token)
	}
}

// open completes the handshake: it changes the state, sets the token, sends the
// answer and queues the event in one step, so that nothing is sent before the
// answer and nothing told before the event. It fails if the token has been
// revoked, the server has logged the socket out meanwhile, or it has closed.
func (s *Socket) open(id float64, p presented) error {
	status := handshakeStatus{
		ID:              s.id,
		PingTimeout:     s.srv.cfg.Timeouts.Ping.Milliseconds(),
		IsAuthenticated: p.token != nil,
	}
	if p.err != nil {
		status.AuthError = s.srv.publicError(p.err, "step", "handshake")
	}
	answer, err := wire.Marshal(status)
	if err != nil {
		// Only a field of an application's error can be at fault.
		status.AuthError = s.srv.publicError(fmt.Errorf("encode the authError: %w", err))
		answer, _ = wire.Marshal(status)
	}
	if p.token == nil {
		s.mu.Lock()
	} else if err := s.lockUnlessRevoked(p.token); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if s.state != Connecting {
		return errNotWritable
	}
	if p.token != nil && s.overruled {
		return errOverruled
	}
	s.state = Open
	s.srv.opened()
	s.deadline = 0
	s.setToken(p.token, p.origin)
	s.stats.prepared.Add(1)
	s.stats.sent.Add(1)
	s.pushFrame(s.srv.seal(response(id, answer, nil)))
	s.mustAct(true)
	s.queue(ConnectEvent{Socket: s, ID: s.id, PingTimeout: s.srv.cfg.Timeouts.Ping, IsAuthenticated: p.token != nil, AuthError: p.err})
	return nil
}

// errOverruled is the outcome of a token about which the server has decided
// while middleware was at it.
var errOverruled = errors.New("socketcluster: the socket was logged out meanwhile")

// verifyHandshake has the engine verify the token of a handshake, or, if that
// has none, of the upgrade request. The engine is asked without a token too, as
// one of another kind may know the client by other means; that it knows nobody
// is no error then.
func (s *Socket) verifyHandshake(data []byte) presented {
	raw, kind := wire.ParseHandshakeToken(data)
	if kind == wire.TokenOther {
		return presented{err: auth.ErrTokenNotString}
	}
	if len(raw) == 0 {
		if p := s.verifyRequest(); p.origin != fromClient {
			return p
		}
	}
	p := presented{signed: string(raw)}
	p.token, p.revoked, p.err = s.verify(p.signed)
	if p.signed == "" && p.err != nil {
		return presented{}
	}
	return p
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

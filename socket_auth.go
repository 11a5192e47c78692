package socketcluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/ws"
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
	signed, token, tokenErr := s.verifyHandshake(p.Data)
	action := &HandshakeSC{Request: s.Request(), Socket: s, SignedAuthToken: signed, AuthToken: token, AuthTokenError: tokenErr}
	if blocked := srv.runMiddleware(s.Context(), s, action); blocked != nil {
		s.rejectHandshake(p.ID, blocked)
		return
	}
	if s.State() == Closed {
		return
	}
	supplied := signed != "" || tokenErr != nil
	bad := tokenErr
	if token != nil {
		bad = s.admitToken(token)
	} else if tokenErr != nil {
		s.rejectToken(tokenErr, signed)
	}
	var public *wire.Error
	if supplied && bad != nil {
		public = srv.publicError(bad, "step", "handshake")
	}

	admitted := s.token.Load()
	status := handshakeStatus{
		ID:              s.id,
		PingTimeout:     srv.cfg.PingTimeout.Milliseconds(),
		AuthError:       public,
		IsAuthenticated: admitted != nil,
	}
	answer, err := wire.Marshal(status)
	if err != nil {
		// Only a field of an application's error can be at fault.
		status.AuthError = srv.publicError(fmt.Errorf("encode the authError: %w", err))
		answer, _ = wire.Marshal(status)
	}
	event := ConnectEvent{Socket: s, ID: s.id, PingTimeout: srv.cfg.PingTimeout, IsAuthenticated: admitted != nil}
	if supplied {
		event.AuthError = bad
	}
	s.conn.SetReadLimit(int64(srv.cfg.Limits.MessageSize))
	if !s.open(wire.AppendResponse(packetBuffer("", answer), p.ID, answer), event) {
		return
	}
	if isBadToken(bad) && supplied {
		s.removeRejected()
	}
	if srv.cfg.BatchOnHandshake {
		s.mu.Lock()
		s.startBatching(time.Now().Add(srv.cfg.BatchOnHandshakeDuration))
		s.mu.Unlock()
	}
	s.drainEvents()

	// Only now, as the handlers of the connect event may want to hear these.
	s.mu.Lock()
	if !srv.cfg.KeepRequest {
		s.request = nil
	}
	if admitted != nil && s.token.Load() == admitted && s.state == Open {
		s.queueAuthenticated(admitted)
		s.armRenewal()
	}
	s.mu.Unlock()
	s.drainEvents()
}

// open completes the handshake: it changes the state, sends the answer and
// queues the event in one step, so that nothing is sent before the answer and
// nothing told before the event. It reports false if the socket has closed.
func (s *Socket) open(answer []byte, event ConnectEvent) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != Connecting {
		return false
	}
	s.state = Open
	s.srv.opened()
	s.deadline = time.Time{}
	s.schedule(time.Now())
	s.stats.prepared.Add(1)
	s.stats.sent.Add(1)
	s.pushFrame(ws.Seal(answer, ws.OpText))
	s.queue(event)
	return true
}

// verifyHandshake has the engine verify the token of a handshake. The engine
// is asked without a token too, as one of another kind may know the client by
// other means; that it knows nobody is no error then.
func (s *Socket) verifyHandshake(data []byte) (signed string, token *auth.Token, err error) {
	raw, kind := wire.ParseHandshakeToken(data)
	if kind == wire.TokenOther {
		return "", nil, errTokenType
	}
	signed = string(raw)
	token, err = s.verify(signed)
	if signed == "" && err != nil {
		return "", nil, nil
	}
	return signed, token, err
}

// verify asks the engine. A panic in it is an error like another.
func (s *Socket) verify(signed string) (token *auth.Token, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the engine failed: %w", &panicError{value: v})
		}
	}()
	token, err = s.srv.engine.Verify(s.Context(), signed)
	if err == nil && token == nil {
		err = errors.New("the engine gave neither a token nor an error")
	}
	if err != nil {
		return nil, s.tokenError(err)
	}
	return token, nil
}

// tokenError gives the errors of custom engines the form that clients know:
// whatever is not a wire error is an AuthTokenError of a bad token.
func (s *Socket) tokenError(err error) error {
	var public *wire.Error
	if errors.As(err, &public) {
		return err
	}
	s.srv.publicError(err, "step", "verify") // for the log
	return &wire.Error{Name: wire.ErrAuthToken.Name, Message: "The token could not be verified", Fields: badTokenField}
}

var (
	badTokenField = []wire.Field{{Key: "isBadToken", Value: true}}
	errTokenType  = &wire.Error{Name: wire.ErrAuthToken.Name, Message: "Invalid token format - Token must be a string", Fields: badTokenField}
)

// isBadToken tells whether an error means that the token will never be good.
func isBadToken(err error) bool {
	var e *wire.Error
	if !errors.As(err, &e) {
		return false
	}
	v, _ := e.Field("isBadToken")
	bad, _ := v.(bool)
	return bad
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
	s.respond(id, nil, public)
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

// admitToken makes a verified token the socket's own, and takes it away again
// if middleware blocks it.
func (s *Socket) admitToken(token *auth.Token) error {
	s.mu.Lock()
	old := s.token.Load()
	if s.state == Closed {
		s.mu.Unlock()
		return errNotWritable
	}
	s.setToken(token)
	s.mu.Unlock()
	a := &Authenticate{Socket: s, SignedAuthToken: token.Signed(), AuthToken: token}
	blocked := s.srv.runMiddleware(s.Context(), s, a)
	if blocked == nil {
		return nil
	}
	s.mu.Lock()
	// Another one may have taken its place meanwhile.
	still := s.token.Load() == token
	if still {
		s.setToken(nil)
	}
	s.queueRejected(blocked, token.Signed(), old, still)
	s.mu.Unlock()
	s.drainEvents()
	return blocked
}

// rejectToken tells why a token that the client has sent was not accepted,
// and takes the one away that the socket may have.
func (s *Socket) rejectToken(err error, signed string) {
	s.mu.Lock()
	old := s.token.Load()
	if s.state == Closed {
		s.mu.Unlock()
		return
	}
	s.setToken(nil)
	s.queueError(err)
	s.queueRejected(err, signed, old, true)
	s.mu.Unlock()
	s.drainEvents()
}

// queueRejected queues the events of a token that was not accepted, and of
// the loss of the one before it, if the socket is left without any. mu must be
// held.
func (s *Socket) queueRejected(err error, signed string, old *auth.Token, lost bool) {
	if s.state == Closed {
		return
	}
	bad := isBadToken(err)
	if bad {
		s.queue(BadAuthTokenEvent{s, err, signed})
	}
	if lost && (bad || old != nil) {
		s.queueDeauthenticated(old)
	}
}

// setToken changes the token and what hangs on it. mu must be held.
func (s *Socket) setToken(token *auth.Token) {
	s.token.Store(token)
	if token == nil {
		s.renewAt = time.Time{}
	}
	s.schedule(time.Now())
}

// handleAuthenticate is authentication on a socket that is open (AUTH-34).
func (s *Socket) handleAuthenticate(p *wire.Packet, isCall bool) {
	if !isCall {
		s.emitError(invalidAction("Authenticate request was malformatted"))
		s.closeWith(wire.CloseHandshakeRejected)
		return
	}
	supplied := p.Data != nil && string(p.Data) != "null"
	var signed string
	err := error(errTokenType)
	ok := true
	if supplied {
		signed, ok = wire.ParseString(p.Data)
	}
	var token *auth.Token
	if ok {
		token, err = s.verify(signed)
	}
	switch {
	case token != nil:
		err = s.admitToken(token)
	case supplied:
		s.rejectToken(err, signed)
	default:
		s.DeauthenticateSelf()
	}
	switch {
	case err == nil:
		s.mu.Lock()
		if s.token.Load() == token {
			s.queueAuthenticated(token)
			s.armRenewal()
		}
		s.mu.Unlock()
		s.drainEvents()
		s.awaitRoom(0)
		s.confirmAuthenticated(p.ID, token)
	case isBadToken(err):
		s.respond(p.ID, nil, s.srv.publicError(err, "step", "authenticate"))
		s.removeRejected()
	default:
		answer := append([]byte(`{"isAuthenticated":false,"authError":`), s.srv.publicError(err, "step", "authenticate").AppendJSON(nil)...)
		s.respond(p.ID, append(answer, '}'), nil)
	}
}

// queueAuthenticated queues the events of a new token. mu must be held.
func (s *Socket) queueAuthenticated(token *auth.Token) {
	if s.state == Closed {
		return
	}
	if !s.authTold {
		s.authTold = true
		s.queue(AuthStateChangeEvent{s, Unauthenticated, Authenticated, token})
	}
	s.queue(AuthenticateEvent{s, token})
}

// queueDeauthenticated queues the events of a lost token. mu must be held.
// The change of state goes by what has been told before: a token may be lost
// while middleware looks at it, before anybody has heard of it.
func (s *Socket) queueDeauthenticated(old *auth.Token) {
	if s.state == Closed {
		return
	}
	if s.authTold {
		s.authTold = false
		s.queue(AuthStateChangeEvent{s, Authenticated, Unauthenticated, nil})
	}
	s.queue(DeauthenticateEvent{s, old})
}

// SetAuthToken logs the client in: it signs a token with the claims, which
// must make a JSON object, gives it to the socket and sends it to the client,
// which keeps it for its next connections. What is sent to the client
// afterwards comes after the token.
//
// An exp among the claims wins over [auth.ExpiresIn], which wins over the
// default expiry. The token is not encrypted: the client can read it.
//
// It fails before the handshake is complete. If the token cannot be signed,
// the socket is closed with 4002.
func (s *Socket) SetAuthToken(ctx context.Context, claims any, opts ...auth.SignOption) error {
	_, err := s.setAuthToken(ctx, claims, opts)
	return err
}

// ConfirmAuthToken is [Socket.SetAuthToken] that waits for the client to
// confirm that it has the token. If it does not, the error is an AuthError;
// the socket stays authenticated.
func (s *Socket) ConfirmAuthToken(ctx context.Context, claims any, opts ...auth.SignOption) error {
	token, err := s.sign(ctx, claims, opts)
	if err != nil {
		return err
	}
	if _, err := s.invoke(ctx, eventSetAuthToken, tokenData{token.Signed()}, func() bool { return s.adopt(token) }); err != nil {
		text := err.Error()
		var public *wire.Error
		if errors.As(err, &public) {
			text = public.Message
		}
		failure := &wire.Error{Name: wire.ErrAuth.Name, Message: "Failed to deliver auth token to client - " + text}
		s.emitError(failure)
		return failure
	}
	return nil
}

// tokenData is the data of #setAuthToken.
type tokenData struct {
	Token string `json:"token"`
}

func (s *Socket) setAuthToken(ctx context.Context, claims any, opts []auth.SignOption) (*auth.Token, error) {
	token, err := s.sign(ctx, claims, opts)
	if err != nil {
		return nil, err
	}
	return token, s.transmit(eventSetAuthToken, tokenData{token.Signed()}, func() bool { return s.adopt(token) })
}

// sign makes a token for the socket.
func (s *Socket) sign(ctx context.Context, claims any, opts []auth.SignOption) (*auth.Token, error) {
	if s.State() == Connecting {
		err := invalidAction("Cannot call setAuthToken before completing the handshake")
		s.emitError(err)
		return nil, err
	}
	token, err := s.askForToken(ctx, claims, append(slices.Clip(opts), auth.PreferExpClaim()))
	if err != nil {
		s.emitError(err)
		s.disconnect(wire.CloseSignFailed, "", "Error: "+plainMessage(err))
		return nil, err
	}
	return token, nil
}

// plainMessage is the text of an error without its name.
func plainMessage(err error) string {
	var e *wire.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}

// Deauthenticate logs the client out: it takes the socket's token away and
// tells the client to forget it.
func (s *Socket) Deauthenticate(ctx context.Context) error {
	s.mu.Lock()
	s.dropToken()
	s.sendRemoveAuthToken()
	s.mu.Unlock()
	s.drainEvents()
	return nil
}

// ConfirmDeauthenticate is [Socket.Deauthenticate] that waits for the client
// to confirm that it has forgotten the token.
func (s *Socket) ConfirmDeauthenticate(ctx context.Context) error {
	_, err := s.invoke(ctx, eventRemoveAuthToken, nil, func() bool {
		s.dropToken()
		return true
	})
	return err
}

// DeauthenticateSelf takes the socket's token away without telling the
// client, which will present it again when it connects the next time.
func (s *Socket) DeauthenticateSelf() {
	s.mu.Lock()
	s.dropToken()
	s.mu.Unlock()
	s.drainEvents()
}

// expireNow takes an expired token away as a packet comes, in case the timer
// is a moment late, and returns the error that middleware gets to see.
func (s *Socket) expireNow() error {
	token := s.token.Load()
	if token == nil || !token.Expired(time.Now()) {
		return nil
	}
	s.expire(token)
	exp, _ := token.Claim("exp")
	return &wire.Error{
		Name:    wire.ErrAuthTokenExpired.Name,
		Message: "The socket auth token has expired",
		Fields:  []wire.Field{{Key: "expiry", Value: exp}},
	}
}

// expire logs the client out because its token has expired, unless it has got
// another one meanwhile.
func (s *Socket) expire(token *auth.Token) {
	s.mu.Lock()
	if s.token.Load() != token {
		s.mu.Unlock()
		return
	}
	s.dropToken()
	s.sendRemoveAuthToken()
	s.mu.Unlock()
	s.drainEvents()
}

// renewalMargin is how long before its end a token must be replaced at the
// latest, so that a timer that is late does not log the client out.
const renewalMargin = time.Second

// armRenewal sets the time for the next token. mu must be held.
func (s *Socket) armRenewal() {
	every, token := s.srv.cfg.TokenRenewal.Every, s.token.Load()
	if every <= 0 || token == nil || s.state != Open {
		return
	}
	now := time.Now()
	if exp, ok := token.ExpiresAt(); ok {
		if left := exp.Sub(now); left < every+renewalMargin {
			every = min(every, left/2)
		}
	}
	s.renewAt = now.Add(every)
	s.schedule(now)
}

// renew replaces the token by one with the same claims and a new life.
func (s *Socket) renew() {
	old := s.token.Load()
	if old == nil {
		return
	}
	claims, err := withoutClaims(old.Payload(), "iat", "exp", "nbf", "jti")
	if err != nil {
		s.emitError(err)
		return
	}
	opts := []auth.SignOption{auth.JWTID(newID())}
	if d := s.srv.cfg.TokenRenewal.ExpiresIn; d > 0 {
		opts = append(opts, auth.ExpiresIn(d))
	}
	token, err := s.sign(s.Context(), claims, opts)
	if err != nil {
		return // emitted, and the socket closed
	}
	_ = s.transmit(eventSetAuthToken, tokenData{token.Signed()}, func() bool {
		if s.token.Load() != old || s.state != Open {
			return false // logged out or in again meanwhile
		}
		return s.adopt(token)
	})
}

// withoutClaims copies a JSON object without some of its members.
func withoutClaims(payload json.RawMessage, drop ...string) (map[string]json.RawMessage, error) {
	var claims map[string]json.RawMessage
	if err := json.Unmarshal(payload, &claims); err != nil {
		return nil, err
	}
	for _, name := range drop {
		delete(claims, name)
	}
	return claims, nil
}

package socketcluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// What changes the token of a socket tells the client in the same step, under
// mu: whatever else changes the token meanwhile, the client ends with the token
// that the socket ends with.

// adopt makes a token that the server has signed the socket's own, unless the
// socket has closed. mu must be held, and the token sent to the client in the
// same step: whatever else changes the token meanwhile, the client ends with
// the one that the socket ends with. That goes for taking it away too.
func (s *Socket) adopt(token *auth.Token) bool {
	if s.state == Open {
		s.setToken(token)
		s.queue(AuthTokenSignedEvent{s, token.Signed()})
		s.queueAuthenticated(token)
		s.armRenewal()
	}
	return true
}

// dropToken takes the socket's token away. mu must be held.
func (s *Socket) dropToken() {
	old := s.token.Load()
	s.setToken(nil)
	s.queueDeauthenticated(old)
}

// sendRemoveAuthToken tells the client to forget its token. mu must be held.
func (s *Socket) sendRemoveAuthToken() {
	if s.state == Closed {
		return
	}
	s.stats.prepared.Add(1)
	s.sendLocked(wire.AppendTransmit(packetBuffer(eventRemoveAuthToken, nil), eventRemoveAuthToken, nil))
}

// removeRejected tells the client to forget a token that was not accepted,
// unless it has been given another one since.
func (s *Socket) removeRejected() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token.Load() == nil {
		s.sendRemoveAuthToken()
	}
}

// confirmAuthenticated answers that a token was accepted, as far as the socket
// still has it: a handler may have taken it away or set another one. The client
// takes the answer for its own token, so that another one is sent once more.
func (s *Socket) confirmAuthenticated(id float64, token *auth.Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.token.Load()
	answer := fmt.Appendf(nil, `{"isAuthenticated":%t,"authError":null}`, now != nil)
	s.stats.prepared.Add(1)
	s.sendLocked(wire.AppendResponse(packetBuffer("", answer), id, answer))
	if now == nil || now == token {
		return
	}
	if raw, err := encodeData(tokenData{now.Signed()}); err == nil {
		s.stats.prepared.Add(1)
		s.sendLocked(wire.AppendTransmit(packetBuffer(eventSetAuthToken, raw), eventSetAuthToken, raw))
	}
}

// askForToken has the engine sign. A panic in it is an error like another, as
// renewal runs on no handler's goroutine.
func (s *Socket) askForToken(ctx context.Context, claims any, opts []auth.SignOption) (token *auth.Token, err error) {
	defer func() {
		if v := recover(); v != nil {
			token, err = nil, fmt.Errorf("the engine failed: %w", &panicError{value: v})
		}
	}()
	token, err = s.srv.engine.Sign(ctx, claims, opts...)
	if err == nil && token == nil {
		err = errors.New("the engine gave neither a token nor an error")
	}
	return token, err
}

package socketcluster

// A logout of the client may cross a token on its way to the client, or the
// answer that accepts its own. The client then takes what arrives after its
// logout for a new login, and keeps the token. The server knows better: it has
// ended the login. It cannot know that the two have crossed, but a pong to a
// later ping tells that they have not. Without such a pong it takes the token
// away again. Whatever the client sends after its logout is answered later, so
// a new login stays.

// noteGiven records that the client has been sent its identity, or none. mu must
// be held.
func (s *Socket) noteGiven() {
	t := &s.turns
	switch {
	case s.token.Load() == nil:
		t.given = 0
	case s.outQueued.Load() > 0 || s.batching():
		t.given = onlyBarrier
	default:
		t.given = t.pings + 1
	}
}

// takeLogout handles #removeAuthToken of the client (AUTH-32).
func (s *Socket) takeLogout() {
	s.update(func() {
		s.logout()
		s.forgetOwed() // a token that has not left yet
		if s.turns.given > 0 {
			s.sendRemoveAuthToken(nil)
		}
	})
}

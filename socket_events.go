package socketcluster

import "time"

// addListener implements [Emitter].
func (s *Socket) addListener(k eventKind, fn func(Event)) (remove func()) {
	return s.extended().listeners[k].Add(fn)
}

// emitterDone implements [Emitter].
func (s *Socket) emitterDone() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.extend()
	if x.ended == nil {
		x.ended = make(chan struct{})
		if s.toldEnd {
			close(x.ended)
		}
	}
	return x.ended
}

// serverHears tells which events of a socket its server emits too.
var serverHears = [numEventKinds]bool{
	kindHandshake: true, kindConnect: true, kindConnectAbort: true, kindDisconnect: true, kindClose: true,
	kindWarning: true, kindSubscribe: true, kindUnsubscribe: true, kindAuthenticate: true,
	kindDeauthenticate: true, kindAuthStateChange: true, kindBadAuthToken: true, kindAudit: true,
}

// emits implements [Emitter]. What only the server emits is not heard here.
func (s *Socket) emits(k eventKind) bool {
	return k != kindHandshake && k != kindWarning && k != kindAudit
}

// heard tells whether anybody listens for an event. mu must be held.
func (s *Socket) heard(k eventKind) bool {
	return serverHears[k] && s.srv.listeners.has(k) || s.ext != nil && s.ext.listeners.has(k)
}

// queue adds an event to those that drainEvents tells. mu must be held, so
// that events have the order of what they are about.
func (s *Socket) queue(e Event) {
	if s.heard(e.kind()) || s.ext != nil && s.ext.telling {
		// While somebody is telling, a handler may yet add a listener that
		// is to hear this: the connect event's, say.
		x := s.extend()
		x.events = append(x.events, e)
	}
}

// update makes a change with mu held, and then tells the events that it has queued.
func (s *Socket) update(change func()) {
	s.mu.Lock()
	change()
	s.mu.Unlock()
	s.drainEvents()
}

// drainEvents tells the queued events, unless another goroutine is at it,
// which then tells these too.
func (s *Socket) drainEvents() {
	s.mu.Lock()
	x := s.ext
	if x == nil || x.telling || len(x.events) == 0 {
		s.mu.Unlock()
		return
	}
	x.telling = true
	for len(x.events) > 0 {
		events := x.events
		x.events = nil
		s.mu.Unlock()
		ended := false
		for _, e := range events {
			s.tell(e)
			ended = ended || e.kind() == kindEnd
		}
		s.mu.Lock()
		if ended {
			s.endLoops()
		}
	}
	x.telling = false
	s.mu.Unlock()
}

// maxUntold is how many events may wait for a handler on another goroutine
// before the inbox waits with them.
const maxUntold = 256

// awaitTold holds up the inbox while a slow handler has very many events before
// it, so that what a client sets off meanwhile does not pile up.
func (s *Socket) awaitTold() {
	for {
		s.mu.Lock()
		wait := s.ext != nil && len(s.ext.events) > maxUntold && s.state != Closed
		s.mu.Unlock()
		if !wait {
			return
		}
		time.Sleep(untoldStep)
	}
}

// untoldStep is how often awaitTold looks.
const untoldStep = 5 * time.Millisecond

// endLoops ends the loops over the events of the socket, once the end event
// has been told. mu must be held.
func (s *Socket) endLoops() {
	s.toldEnd = true
	if x := s.ext; x.ended != nil {
		close(x.ended)
	}
}

// tell calls the handlers of one event.
func (s *Socket) tell(e Event) {
	s.ext.listeners.call(e, s.srv.log)
	if serverHears[e.kind()] {
		s.srv.listeners.call(e, s.srv.log)
	}
}

// emit queues an event and tells it.
func (s *Socket) emit(e Event) {
	s.update(func() { s.queue(e) })
}

// emitError tells what went wrong with the socket.
func (s *Socket) emitError(err error) {
	s.update(func() { s.queueError(err) })
}

// queueError is emitError for those who hold mu.
func (s *Socket) queueError(err error) {
	s.queue(ErrorEvent{s, err})
	s.queue(WarningEvent{s, err})
}

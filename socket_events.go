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
		if s.endEmitted {
			close(x.ended)
		}
	}
	return x.ended
}

// serverHears has the events of a socket that its server emits too.
var serverHears = [numEventKinds]bool{
	kindHandshake: true, kindConnect: true, kindConnectAbort: true, kindDisconnect: true, kindClose: true,
	kindWarning: true, kindSubscribe: true, kindUnsubscribe: true, kindAuthenticate: true,
	kindDeauthenticate: true, kindAuthStateChange: true, kindBadAuthToken: true, kindAudit: true, kindPublish: true,
}

// emits implements [Emitter]. It returns false for events that only the server
// emits.
func (s *Socket) emits(k eventKind) bool {
	return k != kindHandshake && k != kindWarning && k != kindAudit && k != kindPublish
}

// heard reports whether anybody listens for an event. mu must be held.
func (s *Socket) heard(k eventKind) bool {
	return serverHears[k] && s.srv.listeners.has(k) || s.ext != nil && s.ext.listeners.has(k)
}

// queue adds an event to those that drainEvents emits. mu must be held, so that
// events have the order of the changes that they report. It has the type of the event,
// as one that nobody hears is not worth the memory of an Event.
func queue[E Event](s *Socket, e E) {
	if s.heard(e.kind()) || s.ext != nil && s.ext.emitting {
		// While events are being emitted, a handler, such as that of the
		// connect event, may still add a listener for this one.
		x := s.extend()
		x.events = append(x.events, e)
	}
}

// update makes a change with mu held, and then emits the events that it has
// queued. Callers that lock mu in another way (lockUnlessRevoked), or return in
// between, do both by hand.
func (s *Socket) update(change func()) {
	s.mu.Lock()
	change()
	s.mu.Unlock()
	s.drainEvents()
}

// drainEvents emits the queued events, unless another goroutine is doing so,
// which then emits these too.
func (s *Socket) drainEvents() {
	s.mu.Lock()
	x := s.ext
	if x == nil || x.emitting || len(x.events) == 0 {
		s.mu.Unlock()
		return
	}
	x.emitting = true
	for len(x.events) > 0 {
		events := x.events
		x.events = nil
		s.mu.Unlock()
		ended := false
		for _, e := range events {
			s.callHandlers(e)
			ended = ended || e.kind() == kindEnd
		}
		s.mu.Lock()
		if ended {
			s.endLoops()
		}
	}
	x.emitting = false
	s.mu.Unlock()
}

// maxQueuedEvents is the number of events that may wait for a handler on another
// goroutine before the inbox waits too.
const maxQueuedEvents = 256

// awaitEvents delays the inbox while very many events wait for a slow handler, so
// that further events of the client do not pile up. It is called with mu held, which it
// releases while it waits.
func (s *Socket) awaitEvents() {
	for s.ext != nil && len(s.ext.events) > maxQueuedEvents && s.state != Closed {
		s.mu.Unlock()
		time.Sleep(awaitEventsStep)
		s.mu.Lock()
	}
}

// awaitEventsStep is the interval at which awaitEvents checks.
const awaitEventsStep = 5 * time.Millisecond

// endLoops ends the loops over the events of the socket, once the end event has
// been emitted. mu must be held.
func (s *Socket) endLoops() {
	s.endEmitted = true
	if x := s.ext; x.ended != nil {
		close(x.ended)
	}
}

// callHandlers calls the handlers of one event.
func (s *Socket) callHandlers(e Event) {
	s.ext.listeners.call(e, s.srv.log)
	if serverHears[e.kind()] {
		s.srv.listeners.call(e, s.srv.log)
	}
}

// emit queues an event and emits it in its turn.
func (s *Socket) emit(e Event) {
	s.update(func() { queue(s, e) })
}

// emitError emits an error of the socket.
func (s *Socket) emitError(err error) {
	s.update(func() { s.queueError(err) })
}

// queueError is emitError for those who hold mu.
func (s *Socket) queueError(err error) {
	queue(s, ErrorEvent{s, err})
	queue(s, WarningEvent{s, err})
}

package simulation_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/socketcluster-go/socketcluster"
)

// eventModel checks the events of one socket as they are emitted.
type eventModel struct {
	mu     sync.Mutex
	faults []string
	state  socketcluster.AuthState
	phase  string // connect, disconnect, close, end
	subs   map[string]int
}

func (e *eventModel) check(ok bool, format string, args ...any) {
	if !ok {
		e.faults = append(e.faults, fmt.Sprintf(format, args...))
	}
}

// follow notes an event, which may come in these phases.
func follow[E socketcluster.Event](s *socketcluster.Socket, m *eventModel, name string, phases string, fn func(E)) {
	socketcluster.On(s, func(e E) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.check(slices.Contains(strings.Split(phases, "|"), m.phase), "%s in phase %q", name, m.phase)
		fn(e)
	})
}

func followAll(s *socketcluster.Socket) *eventModel {
	m := &eventModel{subs: map[string]int{}}
	enter := func(phase string) { m.phase = phase }
	follow(s, m, "connect", "", func(socketcluster.ConnectEvent) { enter("connect") })
	follow(s, m, "connectAbort", "", func(socketcluster.ConnectAbortEvent) { enter("disconnect") })
	follow(s, m, "disconnect", "connect", func(socketcluster.DisconnectEvent) { enter("disconnect") })
	follow(s, m, "close", "disconnect", func(socketcluster.CloseEvent) { enter("close") })
	follow(s, m, "end", "close", func(socketcluster.EndEvent) {
		enter("end")
		for c, n := range m.subs {
			m.check(n == 0, "end while in %s", c)
		}
	})
	follow(s, m, "subscribe", "connect", func(e socketcluster.SubscribeEvent) { m.subs[e.Channel] = 1 })
	follow(s, m, "unsubscribe", "connect|close", func(e socketcluster.UnsubscribeEvent) {
		m.subs[e.Channel]--
		m.check(m.subs[e.Channel] == 0, "unsubscribe from %s without subscribe", e.Channel)
	})
	follow(s, m, "authStateChange", "connect", func(e socketcluster.AuthStateChangeEvent) {
		m.check(e.OldAuthState == m.state && e.NewAuthState != m.state, "from %v to %v in state %v", e.OldAuthState, e.NewAuthState, m.state)
		m.state = e.NewAuthState
	})
	follow(s, m, "authenticate", "connect", func(socketcluster.AuthenticateEvent) {
		m.check(m.state == socketcluster.Authenticated, "authenticate in state %v", m.state)
	})
	follow(s, m, "deauthenticate", "|connect", func(socketcluster.DeauthenticateEvent) {
		m.check(m.state == socketcluster.Unauthenticated, "deauthenticate in state %v", m.state)
	})
	return m
}

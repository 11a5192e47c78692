package socketcluster_test

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/socketcluster-go/socketcluster"
)

// recorder notes the names of socket events in their order. The message event
// is left out.
type recorder struct {
	t      *testing.T
	mu     sync.Mutex
	events []string
}

func (r *recorder) note(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, name)
}

// take returns what has been noted so far and forgets it.
func (r *recorder) take() string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	all := strings.Join(r.events, " ")
	r.events = nil
	return all
}

func (r *recorder) want(events string) {
	r.t.Helper()
	if got := r.take(); got != events {
		r.t.Errorf("events\ngot  %s\nwant %s", got, events)
	}
}

// record notes the events of all sockets to come, by their JavaScript names.
func (w *world) record() *recorder {
	r := &recorder{t: w.t}
	socketcluster.On(w.srv, func(e socketcluster.HandshakeEvent) {
		s := e.Socket
		noteAll[socketcluster.ConnectEvent](r, s, "connect")
		noteAll[socketcluster.ConnectAbortEvent](r, s, "connectAbort")
		noteAll[socketcluster.DisconnectEvent](r, s, "disconnect")
		noteAll[socketcluster.CloseEvent](r, s, "close")
		noteAll[socketcluster.EndEvent](r, s, "end")
		noteAll[socketcluster.ErrorEvent](r, s, "error")
		noteAll[socketcluster.RawEvent](r, s, "raw")
		noteAll[socketcluster.SubscribeEvent](r, s, "subscribe")
		noteAll[socketcluster.UnsubscribeEvent](r, s, "unsubscribe")
		noteAll[socketcluster.AuthenticateEvent](r, s, "authenticate")
		noteAll[socketcluster.DeauthenticateEvent](r, s, "deauthenticate")
		noteAll[socketcluster.AuthStateChangeEvent](r, s, "authStateChange")
		noteAll[socketcluster.BadAuthTokenEvent](r, s, "badAuthToken")
		noteAll[socketcluster.AuthTokenSignedEvent](r, s, "authTokenSigned")
	})
	return r
}

func noteAll[E socketcluster.Event](r *recorder, s *socketcluster.Socket, name string) {
	socketcluster.On(s, func(E) { r.note(name) })
}

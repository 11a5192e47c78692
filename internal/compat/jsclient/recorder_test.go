package jsclient

import (
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster"
)

// recorder notes what a server and its sockets emit, by the names that the
// events have in JavaScript: those of the socket as they are, those of the
// server with "server:" in front.
type recorder struct {
	mu    sync.Mutex
	notes []note
	more  chan struct{} // closed and replaced with each note
}

type note struct {
	name   string
	socket string // its id
	event  socketcluster.Event
}

func (r *recorder) add(name string, e socketcluster.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := note{name: name, event: e}
	// Every event type has the field; it is nil where there is no socket yet.
	if s := reflect.ValueOf(e).FieldByName("Socket").Interface().(*socketcluster.Socket); s != nil {
		n.socket = s.ID()
	}
	r.notes = append(r.notes, n)
	close(r.more)
	r.more = make(chan struct{})
}

// until waits for an event about a socket, and takes all about this socket up
// to the event out of the notes. The id "" is that of any socket.
func (r *recorder) until(t *testing.T, socket, name string) []note {
	t.Helper()
	limit := time.After(hangLimit)
	for {
		r.mu.Lock()
		var taken, left []note
		found := false
		for _, n := range r.notes {
			if found || socket != "" && n.socket != socket {
				left = append(left, n)
				continue
			}
			taken = append(taken, n)
			found = n.name == name
		}
		if found {
			r.notes = left
		}
		more := r.more
		r.mu.Unlock()
		if found {
			return taken
		}
		select {
		case <-more:
		case <-limit:
			t.Fatalf("no event %s, only %s", name, names(taken))
		}
	}
}

// want waits for the last of some events, given in one text, and checks that
// it was they that came.
func (r *recorder) want(t *testing.T, socket, events string) []note {
	t.Helper()
	list := strings.Fields(events)
	notes := r.until(t, socket, list[len(list)-1])
	if got := names(notes); got != strings.Join(list, " ") {
		t.Errorf("events\ngot  %s\nwant %s", got, strings.Join(list, " "))
	}
	return notes
}

func names(notes []note) string {
	list := make([]string, len(notes))
	for i, n := range notes {
		list[i] = n.name
	}
	return strings.Join(list, " ")
}

// find returns the first event of a type.
func find[E socketcluster.Event](t *testing.T, notes []note) E {
	t.Helper()
	for _, n := range notes {
		if e, ok := n.event.(E); ok {
			return e
		}
	}
	var none E
	t.Fatalf("no %T in %s", none, names(notes))
	return none
}

// record notes the events of a server and all its sockets to come. Messages
// are left out.
func record(srv *socketcluster.Server) *recorder {
	r := &recorder{more: make(chan struct{})}
	listen[socketcluster.HandshakeEvent](r, srv, "server:handshake")
	listen[socketcluster.ConnectEvent](r, srv, "server:connection")
	listen[socketcluster.ConnectAbortEvent](r, srv, "server:connectionAbort")
	listen[socketcluster.DisconnectEvent](r, srv, "server:disconnection")
	listen[socketcluster.CloseEvent](r, srv, "server:closure")
	listen[socketcluster.WarningEvent](r, srv, "server:warning")
	listen[socketcluster.SubscribeEvent](r, srv, "server:subscription")
	listen[socketcluster.UnsubscribeEvent](r, srv, "server:unsubscription")
	listen[socketcluster.AuthenticateEvent](r, srv, "server:authentication")
	listen[socketcluster.DeauthenticateEvent](r, srv, "server:deauthentication")
	listen[socketcluster.AuthStateChangeEvent](r, srv, "server:authenticationStateChange")
	listen[socketcluster.BadAuthTokenEvent](r, srv, "server:badSocketAuthToken")
	socketcluster.On(srv, func(e socketcluster.HandshakeEvent) {
		listen[socketcluster.ConnectEvent](r, e.Socket, "connect")
		listen[socketcluster.ConnectAbortEvent](r, e.Socket, "connectAbort")
		listen[socketcluster.DisconnectEvent](r, e.Socket, "disconnect")
		listen[socketcluster.CloseEvent](r, e.Socket, "close")
		listen[socketcluster.EndEvent](r, e.Socket, "end")
		listen[socketcluster.ErrorEvent](r, e.Socket, "error")
		listen[socketcluster.SubscribeEvent](r, e.Socket, "subscribe")
		listen[socketcluster.UnsubscribeEvent](r, e.Socket, "unsubscribe")
		listen[socketcluster.AuthenticateEvent](r, e.Socket, "authenticate")
		listen[socketcluster.DeauthenticateEvent](r, e.Socket, "deauthenticate")
		listen[socketcluster.AuthStateChangeEvent](r, e.Socket, "authStateChange")
		listen[socketcluster.BadAuthTokenEvent](r, e.Socket, "badAuthToken")
		listen[socketcluster.AuthTokenSignedEvent](r, e.Socket, "authTokenSigned")
	})
	return r
}

func listen[E socketcluster.Event](r *recorder, from socketcluster.Emitter, name string) {
	socketcluster.On(from, func(e E) { r.add(name, e) })
}

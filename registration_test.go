package socketcluster_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster"
)

// handshaken returns a socket of a server.
func handshaken(w *world) *socketcluster.Socket {
	w.client()
	return w.only()
}

// What can never be called, or never is, is refused where it is registered, with
// a panic that names it.
func TestMistakesPanic(t *testing.T) {
	handler := socketcluster.HandlerFunc(func(context.Context, *socketcluster.Call) {})
	receiver := socketcluster.ReceiverFunc(func(context.Context, *socketcluster.Transmission) {})
	allow := func(context.Context, socketcluster.Action) error { return nil }
	inBubble(t, socketcluster.Config{}, func(w *world) {
		srv, socket := w.srv, handshaken(w)
		for _, test := range []struct {
			want string
			call func()
		}{
			{"handler of the procedure x is nil", func() { srv.Handle("x", nil) }},
			{"handler of the procedure x is nil", func() { srv.Handle("x", socketcluster.HandlerFunc(nil)) }},
			{"handler of HandleRest is nil", func() { srv.HandleRest(nil) }},
			{"receiver of the event x is nil", func() { srv.Receive("x", nil) }},
			{"receiver of the event x is nil", func() { srv.Receive("x", socketcluster.ReceiverFunc(nil)) }},
			{"receiver of ReceiveRest is nil", func() { srv.ReceiveRest(nil) }},
			{"function of Func is nil", func() { socketcluster.Func[int, int](nil) }},
			{"function of Recv is nil", func() { socketcluster.Recv[int](nil) }},
			{"function of UpdateClaims is nil", func() { socketcluster.UpdateClaims[any](t.Context(), srv, "sub", "nobody", nil) }},
			{"Concurrent(0)", func() { srv.Handle("x", handler, socketcluster.Concurrent(0)) }},
			{"Concurrent(-1)", func() { srv.Receive("x", receiver, socketcluster.Concurrent(-1)) }},
			{"Handle: the server handles #publish itself", func() { srv.Handle("#publish", handler) }},
			{"Handle: the server handles #handshake itself", func() { srv.Handle("#handshake", handler) }},
			{"Handle: the server handles #subscribe itself", func() { srv.Handle("#subscribe", handler) }},
			{"Handle: the server handles #unsubscribe itself", func() { srv.Handle("#unsubscribe", handler) }},
			{"Handle: the server handles #authenticate itself", func() { srv.Handle("#authenticate", handler) }},
			{"Receive: the server handles #removeAuthToken itself", func() { srv.Receive("#removeAuthToken", receiver) }},
			{"Procedure: the server handles #publish itself", func() { socket.Procedure("#publish") }},
			{"Receiver: the server handles #publish itself", func() { socket.Receiver("#publish") }},
			{"middleware of the handshake line is nil", func() { srv.UseHandshake(nil) }},
			{"middleware of the inboundRaw line is nil", func() { srv.UseInboundRaw(nil) }},
			{"middleware of the inbound line is nil", func() { srv.UseInbound(allow, nil) }},
			{"middleware of the outbound line is nil", func() { srv.UseOutbound(nil) }},
			{"function of Guard is nil", func() { socketcluster.Guard[*socketcluster.Invoke](nil) }},
			{"handler of socketcluster.ConnectEvent is nil", func() { socketcluster.On[socketcluster.ConnectEvent](srv, nil) }},
			{"the emitter of socketcluster.ConnectEvent is nil", func() { socketcluster.On(nil, func(socketcluster.ConnectEvent) {}) }},
			{"the emitter of socketcluster.ConnectEvent is nil", func() { socketcluster.On((*socketcluster.Server)(nil), func(socketcluster.ConnectEvent) {}) }},
			{"the emitter of socketcluster.EndEvent is nil", func() { socketcluster.On((*socketcluster.Socket)(nil), func(socketcluster.EndEvent) {}) }},
			{"the emitter of socketcluster.ConnectEvent is nil", func() { socketcluster.Events[socketcluster.ConnectEvent](t.Context(), nil) }},
			{"name the type of one event", func() { socketcluster.On(srv, func(socketcluster.Event) {}) }},
			{"a *socketcluster.Server emits no socketcluster.ErrorEvent", func() { socketcluster.On(srv, func(socketcluster.ErrorEvent) {}) }},
			{"a *socketcluster.Server emits no socketcluster.EndEvent", func() { socketcluster.On(srv, func(socketcluster.EndEvent) {}) }},
			{"a *socketcluster.Server emits no socketcluster.MessageEvent", func() { socketcluster.Events[socketcluster.MessageEvent](t.Context(), srv) }},
			{"a *socketcluster.Server emits no socketcluster.RawEvent", func() { socketcluster.On(srv, func(socketcluster.RawEvent) {}) }},
			{"a *socketcluster.Server emits no socketcluster.AuthTokenSignedEvent", func() { socketcluster.On(srv, func(socketcluster.AuthTokenSignedEvent) {}) }},
			{"a *socketcluster.Socket emits no socketcluster.HandshakeEvent", func() { socketcluster.On(socket, func(socketcluster.HandshakeEvent) {}) }},
			{"a *socketcluster.Socket emits no socketcluster.WarningEvent", func() { socketcluster.On(socket, func(socketcluster.WarningEvent) {}) }},
			{"a *socketcluster.Socket emits no socketcluster.AuditEvent", func() { socketcluster.Events[socketcluster.AuditEvent](t.Context(), socket) }},
		} {
			func() {
				defer func() {
					if text, _ := recover().(string); !strings.HasPrefix(text, "socketcluster: ") || !strings.Contains(text, test.want) {
						t.Errorf("panic %q, want %q", text, test.want)
					}
				}()
				test.call()
			}()
		}
	})
}

// What the npm server takes is registered: names with a # that are none of the
// protocol's (RPC-3), and all events that both emit.
func TestNoMistakes(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		srv, socket := w.srv, handshaken(w)
		for _, name := range []string{"", "#mine", "#setAuthToken", "#kickOut"} {
			srv.Handle(name, socketcluster.HandlerFunc(func(context.Context, *socketcluster.Call) {}), socketcluster.Concurrent(1))
			srv.Receive(name, socketcluster.ReceiverFunc(func(context.Context, *socketcluster.Transmission) {}))
		}
		srv.UseInbound()
		for _, from := range []socketcluster.Emitter{srv, socket} {
			socketcluster.On(from, func(socketcluster.ConnectEvent) {})
			socketcluster.On(from, func(socketcluster.ConnectAbortEvent) {})
			socketcluster.On(from, func(socketcluster.DisconnectEvent) {})
			socketcluster.On(from, func(socketcluster.CloseEvent) {})
			socketcluster.On(from, func(socketcluster.SubscribeEvent) {})
			socketcluster.On(from, func(socketcluster.UnsubscribeEvent) {})
			socketcluster.On(from, func(socketcluster.AuthenticateEvent) {})
			socketcluster.On(from, func(socketcluster.DeauthenticateEvent) {})
			socketcluster.On(from, func(socketcluster.AuthStateChangeEvent) {})
			socketcluster.On(from, func(socketcluster.BadAuthTokenEvent) {})
		}
		socketcluster.On(srv, socketcluster.AuditLog(nil))
	})
}

// A log that is nil is the default one.
func TestAuditLogWithoutALog(t *testing.T) {
	var text strings.Builder
	former := slog.Default()
	defer slog.SetDefault(former)
	slog.SetDefault(slog.New(slog.NewTextHandler(&text, nil)))
	socketcluster.AuditLog(nil)(socketcluster.AuditEvent{Kind: socketcluster.AuditLogin})
	if !strings.Contains(text.String(), "kind=login") {
		t.Errorf("logged %q", text.String())
	}
}

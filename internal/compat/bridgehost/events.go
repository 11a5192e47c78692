package main

import (
	"context"
	"encoding/json"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/wire"
)

// forward passes the events of type E of a server to the bridge, under their
// name in JavaScript.
func forward[E socketcluster.Event](v *server, name string, describe func(E) (*socketcluster.Socket, fields)) {
	socketcluster.On(v.srv, func(e E) {
		lib, data := describe(e)
		s := known(lib)
		v.host.out.put(func() any {
			line := eventLine{T: "event", On: "server", Server: v.number, Event: name, Data: data, snapshots: with(v, s)}
			if s != nil {
				line.Socket = s.ID()
			}
			return line
		})
	})
}

// forwardSocket is forward for the events of a socket.
func forwardSocket[E socketcluster.Event](s *socket, name string, describe func(E) (*socketcluster.Socket, fields)) {
	socketcluster.On(s.Socket, func(e E) {
		_, data := describe(e)
		s.server.host.out.put(func() any {
			return eventLine{T: "event", On: "socket", Socket: s.ID(), Event: name, Data: data, snapshots: with(s.server, s)}
		})
	})
}

// watch forwards the events of a server, and handles its calls.
func (v *server) watch() {
	socketcluster.On(v.srv, func(e socketcluster.HandshakeEvent) { v.adopt(e.Socket) })
	forward(v, "handshake", func(e socketcluster.HandshakeEvent) (*socketcluster.Socket, fields) { return e.Socket, fields{} })
	forward(v, "warning", func(e socketcluster.WarningEvent) (*socketcluster.Socket, fields) {
		// In JavaScript a warning does not name its socket.
		return nil, fields{"warning": dehydrate(e.Err)}
	})
	forward(v, "connection", describeConnect)
	forward(v, "connectionAbort", describeConnectAbort)
	forward(v, "disconnection", describeDisconnect)
	forward(v, "closure", describeClose)
	forward(v, "subscription", describeSubscribe)
	forward(v, "unsubscription", describeUnsubscribe)
	forward(v, "authentication", describeAuthenticate)
	forward(v, "deauthentication", describeDeauthenticate)
	forward(v, "authenticationStateChange", describeAuthStateChange)
	forward(v, "badSocketAuthToken", describeBadAuthToken)

	v.srv.HandleDefault(func(_ context.Context, c *socketcluster.Call) (any, error) {
		c.Detach() // the bridge answers
		v.host.called(c)
		return nil, nil
	})
	v.srv.ReceiveDefault(func(_ context.Context, t *socketcluster.Transmission) error {
		v.host.received(t)
		return nil
	})
}

// watch forwards the events of a socket.
func (s *socket) watch() {
	forwardSocket(s, "error", func(e socketcluster.ErrorEvent) (*socketcluster.Socket, fields) {
		return e.Socket, fields{"error": dehydrate(e.Err)}
	})
	forwardSocket(s, "message", func(e socketcluster.MessageEvent) (*socketcluster.Socket, fields) {
		return e.Socket, fields{"message": describeMessage(e.Data, e.Binary)}
	})
	forwardSocket(s, "raw", func(e socketcluster.RawEvent) (*socketcluster.Socket, fields) {
		return e.Socket, fields{"message": describeMessage(e.Data, e.Binary)}
	})
	forwardSocket(s, "connect", describeConnect)
	forwardSocket(s, "connectAbort", describeConnectAbort)
	forwardSocket(s, "disconnect", describeDisconnect)
	forwardSocket(s, "close", describeClose)
	forwardSocket(s, "subscribe", describeSubscribe)
	forwardSocket(s, "unsubscribe", describeUnsubscribe)
	forwardSocket(s, "authenticate", describeAuthenticate)
	forwardSocket(s, "deauthenticate", describeDeauthenticate)
	forwardSocket(s, "authStateChange", describeAuthStateChange)
	forwardSocket(s, "badAuthToken", describeBadAuthToken)
	forwardSocket(s, "authTokenSigned", func(e socketcluster.AuthTokenSignedEvent) (*socketcluster.Socket, fields) {
		return e.Socket, fields{"signedAuthToken": e.SignedAuthToken}
	})
	forwardSocket(s, "end", func(e socketcluster.EndEvent) (*socketcluster.Socket, fields) { return e.Socket, nil })
	socketcluster.On(s.Socket, func(socketcluster.EndEvent) { s.endStreams() })
}

// endStreams applies the option socketStreamCleanupMode.
func (s *socket) endStreams() {
	if op := s.server.cleanup; op == "kill" || op == "close" {
		s.server.host.out.put(func() any { return streamsLine{T: "streams", Socket: s.ID(), Op: op} })
	}
}

func describeConnect(e socketcluster.ConnectEvent) (*socketcluster.Socket, fields) {
	data := fields{"id": e.ID, "pingTimeout": e.PingTimeout.Milliseconds(), "isAuthenticated": e.IsAuthenticated}
	if e.AuthError != nil {
		data["authError"] = dehydrate(e.AuthError)
	}
	return e.Socket, data
}

func describeConnectAbort(e socketcluster.ConnectAbortEvent) (*socketcluster.Socket, fields) {
	return e.Socket, ending(e.Code, e.Reason)
}

func describeDisconnect(e socketcluster.DisconnectEvent) (*socketcluster.Socket, fields) {
	return e.Socket, ending(e.Code, e.Reason)
}

func describeClose(e socketcluster.CloseEvent) (*socketcluster.Socket, fields) {
	return e.Socket, ending(e.Code, e.Reason)
}

func ending(code wire.CloseCode, reason string) fields {
	return fields{"code": int(code), "reason": reason}
}

func describeSubscribe(e socketcluster.SubscribeEvent) (*socketcluster.Socket, fields) {
	options := e.Options
	if options == nil {
		options = json.RawMessage("{}")
	}
	return e.Socket, fields{"channel": e.Channel, "subscriptionOptions": options}
}

func describeUnsubscribe(e socketcluster.UnsubscribeEvent) (*socketcluster.Socket, fields) {
	return e.Socket, fields{"channel": e.Channel}
}

func describeAuthenticate(e socketcluster.AuthenticateEvent) (*socketcluster.Socket, fields) {
	return e.Socket, fields{"authToken": claimsOf(e.AuthToken)}
}

func describeDeauthenticate(e socketcluster.DeauthenticateEvent) (*socketcluster.Socket, fields) {
	return e.Socket, fields{"oldAuthToken": claimsOf(e.OldAuthToken)}
}

func describeAuthStateChange(e socketcluster.AuthStateChangeEvent) (*socketcluster.Socket, fields) {
	data := fields{"oldAuthState": e.OldAuthState.String(), "newAuthState": e.NewAuthState.String()}
	if e.AuthToken != nil {
		data["authToken"] = claimsOf(e.AuthToken)
	}
	return e.Socket, data
}

func describeBadAuthToken(e socketcluster.BadAuthTokenEvent) (*socketcluster.Socket, fields) {
	return e.Socket, fields{"authError": dehydrate(e.AuthError), "signedAuthToken": e.SignedAuthToken}
}

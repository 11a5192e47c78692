package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// setMiddleware makes the bridge decide on the actions of a line from now on.
// As in JavaScript, a line has only one function.
func (v *server) setMiddleware(line string) error {
	use := map[string]func(...socketcluster.Middleware) (remove func()){
		"handshake":  v.srv.UseHandshake,
		"inboundRaw": v.srv.UseInboundRaw,
		"inbound":    v.srv.UseInbound,
		"outbound":   v.srv.UseOutbound,
	}[line]
	if use == nil {
		return &wire.Error{Name: wire.NameInvalidArguments, Message: fmt.Sprintf("Middleware %s type is not supported", line)}
	}
	if v.middleware[line] != nil {
		return &wire.Error{Name: wire.NameInvalidAction, Message: fmt.Sprintf("Middleware %s type has already been set", line)}
	}
	v.middleware[line] = use(func(_ context.Context, a socketcluster.Action) error { return v.decide(line, a) })
	return nil
}

// middlewareLine is a question about an action.
type middlewareLine struct {
	T      string `json:"t"`
	ID     int    `json:"id"`
	Ask    string `json:"ask"`
	Server int    `json:"server"`
	Stream string `json:"stream"`
	Type   string `json:"type"`
	Action fields `json:"action"`
	snapshots
}

// verdict is the answer to it.
type verdict struct {
	Outcome string          `json:"outcome"`
	Data    json.RawMessage `json:"data"`
	Error   json.RawMessage `json:"error"`
}

// decide is the middleware of a line: it returns the bridge's verdict on an
// action. It waits even after the connection has ended, as the JavaScript
// server does, which cannot cancel it.
func (v *server) decide(line string, a socketcluster.Action) error {
	d := v.describeAction(a)
	answer, err := v.host.ask(context.Background(), func(id int) any {
		return middlewareLine{
			T: "ask", ID: id, Ask: "middleware", Server: v.number, Stream: line + d.stream, Type: line,
			Action: d.fields, snapshots: with(nil, d.socket),
		}
	})
	if err != nil {
		return err
	}
	var out verdict
	if err := json.Unmarshal(answer, &out); err != nil {
		return fmt.Errorf("the bridge's verdict on an action: %w", err)
	}
	if out.Outcome == "block" {
		return blocked(out.Error)
	}
	if out.Data != nil && d.replace != nil {
		d.replace(out.Data)
	}
	return nil
}

// blocked returns the error with which an action is blocked.
func blocked(raw json.RawMessage) error {
	err := wire.ParseError(raw)
	if err == nil {
		return socketcluster.ErrBlocked
	}
	if silent, ok := err.(*wire.Error).Field("silent"); ok && silent == true {
		return socketcluster.Silent(err)
	}
	return err
}

// described is the description of an action for the bridge.
type described struct {
	fields  fields
	socket  *socket
	stream  string // distinguishes actions that may be decided concurrently
	replace func(json.RawMessage)
}

func (v *server) describeAction(a socketcluster.Action) described {
	d := described{fields: fields{"type": a.Type()}}
	switch a := a.(type) {
	case *socketcluster.Upgrade:
		info := describeRequest(a.Request)
		d.fields["request"] = info
		d.stream = handshakeStream(info)
	case *socketcluster.Handshake:
		info := describeRequest(a.Request)
		d.about(a.Socket)
		d.fields["request"] = info
		d.fields["data"] = v.describeHandshake(a)
		d.stream = handshakeStream(info)
	case *socketcluster.RawMessage:
		d.about(a.Socket)
		d.fields["data"] = describeMessage(a.Data, a.Binary)
		d.replace = func(raw json.RawMessage) { a.Data, a.Binary = rawMessage(raw) }
	case *socketcluster.Transmit:
		d.about(a.Socket)
		d.fields["receiver"] = a.Receiver
		d.carries(&a.Data, a.AuthTokenExpired)
	case *socketcluster.Invoke:
		d.about(a.Socket)
		d.fields["procedure"] = a.Procedure
		d.carries(&a.Data, a.AuthTokenExpired)
	case *socketcluster.Subscribe:
		d.about(a.Socket)
		d.fields["channel"] = a.Channel
		d.carries(&a.Data, a.AuthTokenExpired)
	case *socketcluster.PublishIn:
		d.about(a.Socket)
		d.fields["channel"] = a.Channel
		d.carries(&a.Data, a.AuthTokenExpired)
	case *socketcluster.PublishOut:
		d.about(a.Socket)
		d.fields["channel"] = a.Channel
		d.carries(&a.Data, nil)
	case *socketcluster.Authenticate:
		d.about(a.Socket)
		d.fields["signedAuthToken"] = a.SignedAuthToken
		d.fields["authToken"] = claimsOf(a.AuthToken)
	}
	return d
}

// about sets the socket of the action.
func (d *described) about(s *socketcluster.Socket) {
	d.socket = known(s)
	d.stream = s.ID()
	d.fields["socket"] = s.ID()
}

// carries sets the data of an action, which the bridge may replace.
func (d *described) carries(data *json.RawMessage, expired error) {
	if *data != nil {
		d.fields["data"] = *data
	}
	if expired != nil {
		d.fields["authTokenExpiredError"] = dehydrate(expired)
	}
	d.replace = func(raw json.RawMessage) { *data = raw }
}

// handshakeStream is the same for both actions of a connection.
func handshakeStream(r *requestInfo) string { return fmt.Sprint(r.ID) }

func (v *server) describeHandshake(a *socketcluster.Handshake) fields {
	data := fields{
		"signedAuthToken": signedOrNull(a.SignedAuthToken),
		"authToken":       claimsOf(a.AuthToken),
		"authState":       authState(a.AuthToken).String(),
	}
	switch {
	case a.AuthTokenError != nil:
		data["authTokenError"] = dehydrate(a.AuthTokenError)
	case a.AuthToken == nil:
		// In JavaScript a missing token is a bad one; in the library it is not
		// an error.
		data["authTokenError"] = dehydrate(v.engine.noToken())
	}
	return data
}

func authState(t *auth.Token) socketcluster.AuthState {
	if t == nil {
		return socketcluster.Unauthenticated
	}
	return socketcluster.Authenticated
}

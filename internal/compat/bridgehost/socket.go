package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// socket is a socket of the library as the bridge knows it.
type socket struct {
	*socketcluster.Socket
	server     *server
	introduced bool // the bridge has seen its request; the output's lock guards it
}

// socketKey stores, with a socket of the library, its counterpart here.
var socketKey socketcluster.Key[*socket]

// known returns the socket for one of the library; nil for nil.
func known(s *socketcluster.Socket) *socket {
	if s == nil {
		return nil
	}
	k, _ := socketKey.Get(s)
	return k
}

// adopt registers a new socket. It runs before anything else happens on it.
func (v *server) adopt(lib *socketcluster.Socket) {
	s := &socket{Socket: lib, server: v}
	socketKey.Set(lib, s)
	v.host.mu.Lock()
	v.host.sockets[lib.ID()] = s
	v.host.mu.Unlock()
	s.watch()
}

// socketCommands are the commands for a socket.
var socketCommands = map[string]func(s *socket, ctx *waitContext, c *command) (any, error){
	"transmit": func(s *socket, ctx *waitContext, c *command) (any, error) {
		return nil, undelivered(s.Transmit(ctx, c.Event, payload(c.Data)))
	},
	"invoke": func(s *socket, ctx *waitContext, c *command) (any, error) {
		if timeout, ok := ackTimeout(c.Options); ok {
			var cancel context.CancelFunc
			ctx.Context, cancel = context.WithTimeout(ctx.Context, timeout)
			defer cancel()
		}
		return s.Invoke(ctx, c.Event, payload(c.Data))
	},
	"disconnect": func(s *socket, _ *waitContext, c *command) (any, error) {
		return nil, s.Disconnect(wire.CloseCode(c.Code), c.Reason)
	},
	"terminate": func(s *socket, _ *waitContext, _ *command) (any, error) {
		s.Terminate()
		return nil, nil
	},
	"send": func(s *socket, ctx *waitContext, c *command) (any, error) {
		data, binary := rawMessage(c.Data)
		if binary {
			return nil, undelivered(s.SendBinary(ctx, data))
		}
		return nil, undelivered(s.Send(ctx, string(data)))
	},
	"sendObject": func(s *socket, ctx *waitContext, c *command) (any, error) {
		return nil, undelivered(s.Send(ctx, string(c.Object)))
	},
	"setAuthToken":   setAuthToken,
	"deauthenticate": deauthenticate,
	"deauthenticateSelf": func(s *socket, _ *waitContext, _ *command) (any, error) {
		s.DeauthenticateSelf()
		return nil, nil
	},
	"kickOut": kickOut,
	"batch": func(s *socket, _ *waitContext, c *command) (any, error) {
		do := map[string]func(){
			"startBatch":     func() { s.StartBatch() },
			"flushBatch":     func() { s.StartBatch().End() },
			"cancelBatch":    func() { s.StartBatch().Cancel() },
			"startBatching":  func() { s.StartBatching() },
			"stopBatching":   func() { s.StartBatching().End() },
			"cancelBatching": func() { s.StartBatching().Cancel() },
		}[c.Op]
		if do == nil {
			return nil, unsupported("the batch operation %s", c.Op)
		}
		do()
		return nil, nil
	},
	"counters": func(s *socket, _ *waitContext, _ *command) (any, error) {
		stats := s.Stats()
		return fields{
			"inboundReceived": stats.InboundReceived, "inboundProcessed": stats.InboundProcessed,
			"outboundPrepared": stats.OutboundPrepared, "outboundSent": stats.OutboundSent,
			"bytesReceived": stats.BytesReceived,
		}, nil
	},
}

// undelivered drops the errors of messages that are lost with a connection:
// like JavaScript, the library emits them as events, and the command continues.
func undelivered(err error) error {
	if e, ok := errors.AsType[*wire.Error](err); ok && (e.Name == "" || errors.Is(e, wire.ErrBadConnection)) {
		return nil
	}
	return err
}

func ackTimeout(raw json.RawMessage) (time.Duration, bool) {
	var o struct {
		AckTimeout *float64 `json:"ackTimeout"`
	}
	if raw == nil || json.Unmarshal(raw, &o) != nil || o.AckTimeout == nil {
		return 0, false
	}
	return milliseconds(*o.AckTimeout), true
}

// rejectsUndelivered reads the option of setAuthToken and deauthenticate that
// waits for the client's confirmation.
func rejectsUndelivered(raw json.RawMessage) bool {
	var o struct {
		RejectOnFailedDelivery bool `json:"rejectOnFailedDelivery"`
	}
	return raw != nil && json.Unmarshal(raw, &o) == nil && o.RejectOnFailedDelivery
}

func setAuthToken(s *socket, ctx *waitContext, c *command) (any, error) {
	opts, err := signOptions(c.Options)
	if err != nil {
		return nil, err
	}
	// An engine of the suite gets the options unchanged.
	ctx.Context = context.WithValue(ctx.Context, signOptionsKey{}, c.Options)
	if rejectsUndelivered(c.Options) {
		return nil, s.ConfirmAuthToken(ctx, c.Data, opts...)
	}
	err = s.SetAuthToken(ctx, c.Data, opts...)
	if errors.Is(err, wire.ErrBadConnection) {
		return nil, nil // signed, but not delivered; emitted
	}
	return nil, err
}

func deauthenticate(s *socket, ctx *waitContext, c *command) (any, error) {
	if rejectsUndelivered(c.Options) {
		return nil, s.ConfirmDeauthenticate(ctx)
	}
	s.Deauthenticate(ctx)
	return nil, nil
}

// kickOut removes the socket from one channel, several, or all.
func kickOut(s *socket, ctx *waitContext, c *command) (any, error) {
	if c.Channel == nil {
		return nil, s.KickOutAll(ctx, payload(c.Message))
	}
	var names []string
	if json.Unmarshal(c.Channel, &names) != nil {
		names = []string{c.channel()}
	}
	var failed error
	for _, name := range names {
		failed = errors.Join(failed, s.KickOut(ctx, name, payload(c.Message)))
	}
	return nil, failed
}

// rawMessage decodes a message from the control channel: text, or {"$binary":
// base64}.
func rawMessage(raw json.RawMessage) (data []byte, binary bool) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return []byte(text), false
	}
	var b binaryMessage
	_ = json.Unmarshal(raw, &b) // the bridge sends nothing else
	return b.Binary, true
}

type binaryMessage struct {
	Binary []byte `json:"$binary"`
}

// describeMessage is the inverse of rawMessage.
func describeMessage(data []byte, binary bool) any {
	if binary {
		return binaryMessage{data}
	}
	return string(data)
}

// claimsOf returns the claims of a token, or null.
func claimsOf(t *auth.Token) json.RawMessage {
	if t == nil {
		return json.RawMessage("null")
	}
	return t.Payload()
}

// signedOrNull returns the text of a token, or null without one.
func signedOrNull(signed string) any {
	if signed == "" {
		return nil
	}
	return signed
}

package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/wire"
)

// op is what a request does with the sockets of its target.
type op string

const (
	opTransmit   op = "transmit"
	opInvoke     op = "invoke"
	opKickOut    op = "kickOut"
	opDisconnect op = "disconnect"
	opHold       op = "hold" // keeps the claims of the target from being signed again
	opClaims     op = "claims"
	opRelease    op = "release" // ends a hold
	opLogin      op = "login"
	opInForce    op = "inForce" // has no target: what the stream of revocations has
)

// request is a question to all nodes. Its data follows it in a message.
type request struct {
	Call    uint64         `json:"call"`
	Op      op             `json:"op"`
	Claim   string         `json:"claim,omitempty"`
	Value   string         `json:"value"`
	Name    string         `json:"name,omitempty"` // of the event, procedure or channel; the reason
	Code    wire.CloseCode `json:"code,omitempty"`
	Seq     uint64         `json:"seq,omitempty"`
	Hold    string         `json:"hold,omitempty"` // its ID
	Timeout int64          `json:"timeout"`        // milliseconds that sockets have

	Target Target `json:"-"`
	own    bool   // it is one of this node
}

// reply is one of the answers of a node. The data of a socket's answer follows it in a
// message.
type reply struct {
	Call     uint64              `json:"call"`
	Node     string              `json:"node"`
	Found    int                 `json:"found,omitempty"`  // sockets of the target
	OK       int                 `json:"ok,omitempty"`     // those with which it was done
	Socket   string              `json:"socket,omitempty"` // whose answer this is
	Failures []failure           `json:"failures,omitempty"`
	Replaced []revoke.Revocation `json:"replaced,omitempty"` // of the tokens that a change of claims has replaced
	Held     time.Time           `json:"held,omitzero"`      // when a hold began, by the clock of the node
	Login    []string            `json:"login,omitempty"`    // a claim and its value
	Done     bool                `json:"done,omitempty"`     // it is the last of the node

	data json.RawMessage
}

// failure is an error that crosses nodes.
type failure struct {
	Socket string          `json:"socket,omitempty"`
	Text   string          `json:"text"`
	Kind   string          `json:"kind,omitempty"` // one of kinds
	Public json.RawMessage `json:"error,omitempty"`
}

// kinds are errors that stay what they are.
var kinds = map[string]error{
	"deadline":     context.DeadlineExceeded,
	"closed":       socketcluster.ErrServerClosed,
	"tokenChanged": socketcluster.ErrTokenChanged,
	"foreignToken": auth.ErrForeignToken,
}

// failureOf makes a failure of an error. The socket is empty if the error is not that
// of one.
func failureOf(socket string, err error) failure {
	f := failure{Socket: socket, Text: err.Error()}
	for kind, is := range kinds {
		if errors.Is(err, is) {
			f.Kind = kind
		}
	}
	if public, ok := errors.AsType[*wire.Error](err); ok {
		f.Public = public.AppendJSON(nil)
	}
	return f
}

// err makes an error of a failure again.
func (f *failure) err() error {
	e := &crossed{text: f.Text}
	if is := kinds[f.Kind]; is != nil {
		e.is = append(e.is, is)
	}
	if public := wire.ParseError(f.Public); public != nil {
		if e.is == nil && public.Error() == f.Text {
			return public
		}
		e.is = append(e.is, public)
	}
	return e
}

// crossed is an error of another node.
type crossed struct {
	text string
	is   []error
}

// Error implements error.
func (e *crossed) Error() string { return e.text }

// Unwrap makes errors.Is and errors.As find what it was.
func (e *crossed) Unwrap() []error { return e.is }

// errors returns the failures of an answer.
func (a *reply) errors() (all []error) {
	for _, f := range a.Failures {
		all = append(all, &RemoteError{a.Node, f.Socket, f.err()})
	}
	return all
}

// pack makes a message: the JSON of v, a line feed, and the data.
func pack(v any, data []byte) ([]byte, error) {
	head, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return append(append(head, '\n'), data...), nil
}

// unpack is the inverse of pack. Without data it is nil.
func unpack(message []byte, v any) (data json.RawMessage, err error) {
	head, rest, found := bytes.Cut(message, []byte{'\n'})
	if !found {
		return nil, errors.New("cluster: the message has no data")
	}
	if err := json.Unmarshal(head, v); err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	if len(rest) == 0 {
		return nil, nil
	}
	return rest, nil
}

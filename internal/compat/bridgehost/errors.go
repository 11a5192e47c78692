package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/socketcluster-go/socketcluster/wire"
)

// nameUnsupported is the name by which the bridge knows that a test must be
// excluded.
const nameUnsupported = "UnsupportedByHostError"

func unsupported(format string, args ...any) error {
	return &wire.Error{Name: nameUnsupported, Message: fmt.Sprintf(format, args...)}
}

// dehydrate converts an error to its form on the control channel, which is that
// of the SocketCluster protocol.
func dehydrate(err error) json.RawMessage {
	e, ok := errors.AsType[*wire.Error](err)
	if !ok {
		e = &wire.Error{Message: err.Error()}
	}
	return e.AppendJSON(nil)
}

// hydrate makes an error from a value that JavaScript has thrown. It may be any
// value, and is an error even if it is falsy in JavaScript.
func hydrate(raw json.RawMessage) error {
	if err := wire.ParseError(raw); err != nil {
		return err
	}
	return &wire.Error{Message: string(raw)}
}

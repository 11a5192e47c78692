package wire_test

import (
	"errors"
	"fmt"

	"github.com/socketcluster-go/socketcluster/wire"
)

func ExampleDecoder() {
	var d wire.Decoder
	msg := []byte(`[{"event":"#publish","data":{"channel":"room","data":{"n":1}},"cid":7},{"event":"typing"}]`)
	if err := d.Reset(msg, wire.Limits{BatchSize: 100, Depth: 64}); err != nil {
		fmt.Println(err)
		return
	}
	var p wire.Packet
	for d.Next(&p) {
		fmt.Printf("%v %s %v %s\n", p.Kind, p.Event, p.ID, p.Data)
	}
	// Output:
	// invoke #publish 7 {"channel":"room","data":{"n":1}}
	// transmit typing 0
}

func ExampleError() {
	sent := (&wire.Error{Name: "LoginError", Message: "Invalid user credentials"}).With("attempts", 3)
	frame := wire.AppendErrorResponse(nil, 2, sent.AppendJSON(nil), nil)
	fmt.Println(string(frame))

	received := wire.ParseError(sent.AppendJSON(nil))
	fmt.Println(received, errors.Is(received, &wire.Error{Name: "LoginError"}))
	// Output:
	// {"rid":2,"error":{"message":"Invalid user credentials","name":"LoginError","attempts":3}}
	// LoginError: Invalid user credentials true
}

package socketcluster_test

import (
	"fmt"
	"net/http/httptest"

	"github.com/socketcluster-go/socketcluster"
)

// A stream that is closed ends its loops once they have taken what has come
// before; what comes later is for the server's handler. Here, a socket has a
// loop of its own until its game is over.
func ExampleSocket_CloseProcedure() {
	srv := exampleServer(socketcluster.Config{}) // no handler for "move"
	over := make(chan struct{})
	socketcluster.On(srv, func(e socketcluster.ConnectEvent) {
		moves := e.Socket.Procedure("move")
		go func() {
			for call := range moves {
				call.End("moved " + string(call.Data))
				if string(call.Data) == "64" {
					e.Socket.CloseProcedure("move")
				}
			}
			close(over)
		}()
	})

	client := connectExample(srv)
	defer client.close()
	client.send(`{"event":"move","data":63,"cid":2}`)
	client.send(`{"event":"move","data":64,"cid":3}`)
	fmt.Println(client.next())
	fmt.Println(client.next())
	<-over
	client.send(`{"event":"move","data":65,"cid":4}`)
	fmt.Println(client.next())
	// Output:
	// {"rid":2,"data":"moved 63"}
	// {"rid":3,"data":"moved 64"}
	// {"rid":4,"error":{"message":"The server has no such procedure","name":"UnknownProcedureError"}}
}

// Clients of version 14 and before speak version 1. They are out there already
// and stay at the default path; newer ones get another. All of them are sockets
// of one server.
func ExampleConfig_twoVersions() {
	srv := exampleServer(socketcluster.Config{
		Path:          "/socketcluster/v2/",
		Protocol1Path: socketcluster.DefaultPath,
	})
	defer srv.Close()
	socketcluster.On(srv, func(e socketcluster.HandshakeEvent) {
		fmt.Println(e.Socket.URL(), "speaks version", e.Socket.ProtocolVersion())
	})
	site := httptest.NewServer(srv)
	defer site.Close()

	client := dialExample(site.URL)
	defer client.close()
	client.send(`{"event":"#handshake","data":{"authToken":null},"cid":1}`)
	client.next()
	// Output:
	// /socketcluster/ speaks version 1
}

// Command goclients runs the scenario of the wall with a public Go client, which
// its argument names: sacOO7 or breiting. The environment and the output are
// those of ../js/client.mjs.
//
// It is a module of its own, so that nothing else depends on these clients.
package main

import (
	"log"
	"net"
	"os"

	breiting "github.com/breiting/socketcluster-client-go/scclient"
	sacOO7 "github.com/sacOO7/socketcluster-client-go/scclient"
)

// client is what both have in common. Their callbacks get the name of the event
// or channel first.
type client interface {
	Connect()
	Emit(event string, data any)
	EmitAck(event string, data any, ack func(event string, err, data any))
	SubscribeAck(channel string, ack func(channel string, err, data any))
	PublishAck(channel string, data any, ack func(channel string, err, data any))
	OnChannel(channel string, on func(channel string, data any))
	On(event string, on func(event string, data any))
	OnAck(event string, on func(event string, data any, ack func(err, data any)))
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: goclients sacOO7|breiting")
	}
	s := newScenario(os.Getenv("FAILING"))
	url := "ws://" + net.JoinHostPort("127.0.0.1", os.Getenv("PORT")) + "/socketcluster/"
	switch os.Args[1] {
	case "sacOO7":
		c := sacOO7.New(url)
		c.SetBasicListener(func(sacOO7.Client) {}, func(_ sacOO7.Client, err error) { log.Print(err) }, func(sacOO7.Client, error) {})
		c.SetAuthenticationListener(func(sacOO7.Client, string) {}, func(sacOO7.Client, bool) { s.connected <- struct{}{} })
		s.run(&c)
	case "breiting":
		c := breiting.New(url)
		c.SetBasicListener(func(breiting.Client) {}, func(_ breiting.Client, err error) { log.Print(err) }, func(breiting.Client, error) {})
		c.SetAuthenticationListener(func(breiting.Client, string) {}, func(breiting.Client, bool) { s.connected <- struct{}{} })
		s.run(&c)
	default:
		log.Fatalf("no client %s", os.Args[1])
	}
}

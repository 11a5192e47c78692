// Command chat is the smallest useful server: everybody who opens its page can
// read and write in one room. It serves http://localhost:8000/.
//
//	go run ./chat
package main

import (
	"context"
	_ "embed"
	"log"
	"net/http"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/browser"
	"github.com/socketcluster-go/socketcluster/wire"
)

//go:embed index.html
var page []byte

// message is a message in the room.
type message struct {
	From string `json:"from"`
	Text string `json:"text"`
}

func main() {
	srv, handler, err := newHandler()
	if err != nil {
		log.Fatal(err)
	}
	web := &http.Server{Addr: ":8000", Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	if err := srv.Run(web); err != nil {
		log.Fatal(err)
	}
}

func newHandler() (*socketcluster.Server, http.Handler, error) {
	srv, err := socketcluster.New(socketcluster.Config{})
	if err != nil {
		return nil, nil, err
	}
	socketcluster.Use(srv, func(_ context.Context, a *socketcluster.Subscribe) error { return onlyRoom(a.Channel) })
	socketcluster.Use(srv, func(_ context.Context, a *socketcluster.PublishIn) error { return checkMessage(a) })
	mux := http.NewServeMux()
	mux.Handle("GET "+socketcluster.DefaultPath, srv)
	mux.Handle("GET /client.js", browser.Handler())
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { w.Write(page) })
	return srv, mux, nil
}

// onlyRoom keeps clients from creating other channels.
func onlyRoom(channel string) error {
	if channel != "room" {
		return socketcluster.Errorf("ChannelError", "There is no such channel")
	}
	return nil
}

// checkMessage lets only messages into the room.
func checkMessage(a *socketcluster.PublishIn) error {
	if err := onlyRoom(a.Channel); err != nil {
		return err
	}
	var m message
	if err := wire.Unmarshal(a.Data, &m); err != nil || m.From == "" || m.Text == "" || len(m.From) > 50 || len(m.Text) > 1000 {
		return socketcluster.Errorf("MessageError", "A message needs a short name and a text")
	}
	var err error
	a.Data, err = wire.Marshal(m) // without other members that the client has added
	return err
}

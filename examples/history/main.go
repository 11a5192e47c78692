// Command history is a chat that forgets nothing: who opens its page sees the last
// messages, who was away gets what came meanwhile, and a message whose answer is lost is
// sent again and stored once. It serves http://localhost:8000/ alone, or several of it,
// each with a name, a folder and addresses of its own:
//
//	export CLUSTER_SECRET=$(openssl rand -hex 16)
//	R=127.0.0.1:6222,127.0.0.1:6223,127.0.0.1:6224
//	go run ./history -addr :8000 -name a -store a -listen 127.0.0.1:6222 -routes $R
//	go run ./history -addr :8001 -name b -store b -listen 127.0.0.1:6223 -routes $R
//	go run ./history -addr :8002 -name c -store c -listen 127.0.0.1:6224 -routes $R
//
// Kill any of them with kill -9: the others have all messages, and so has it when it is
// back.
package main

import (
	"context"
	_ "embed"
	"flag"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/browser"
	"github.com/socketcluster-go/socketcluster/cluster"
	"github.com/socketcluster-go/socketcluster/wire"
)

//go:embed index.html
var page []byte

// room is the only channel.
const room = "room"

// message is a message in the room.
type message struct {
	From string `json:"from"`
	Text string `json:"text"`
}

func main() {
	addr := flag.String("addr", ":8000", "the `address` of the page")
	o := cluster.Options{
		Secret: os.Getenv("CLUSTER_SECRET"),
		// The same on all nodes.
		History: []cluster.HistoryRule{{Channel: room, Size: 1000, Age: 30 * 24 * time.Hour}},
	}
	flag.StringVar(&o.Name, "name", "a", "the name of the node")
	flag.StringVar(&o.StoreDir, "store", "history", "the `folder` of what the node stores")
	flag.StringVar(&o.Listen, "listen", "", "the `address` for other nodes")
	routes := flag.String("routes", "", "the `addresses` of all nodes, separated by commas")
	flag.Parse()
	if *routes != "" {
		o.Routes = strings.Split(*routes, ",")
	}
	node, err := cluster.Start(context.Background(), o)
	if err != nil {
		log.Fatal(err)
	}
	defer node.Close()
	srv, handler, err := newHandler(node)
	if err != nil {
		log.Fatal(err)
	}
	web := &http.Server{Addr: *addr, Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	if err := srv.Run(web); err != nil {
		log.Print(err)
	}
}

func newHandler(node *cluster.Node) (*socketcluster.Server, http.Handler, error) {
	srv, err := socketcluster.New(socketcluster.Config{Broker: node.Broker()})
	if err != nil {
		return nil, nil, err
	}
	socketcluster.Use(srv, func(_ context.Context, a *socketcluster.Subscribe) error { return onlyRoom(a.Channel) })
	socketcluster.Use(srv, func(_ context.Context, a *socketcluster.PublishIn) error { return checkMessage(a) })
	// What is stored may also go elsewhere, such as into an index for a search. A message
	// that is sent again comes again, with the same number in its position.
	socketcluster.On(srv, func(e socketcluster.PublishEvent) {
		if at, err := cluster.ParsePosition(e.Position); err == nil {
			log.Printf("message %d is stored", at.Seq)
		}
	})
	mux := http.NewServeMux()
	mux.Handle("GET "+socketcluster.DefaultPath, srv)
	mux.Handle("GET /client.js", browser.Handler())
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { w.Write(page) })
	return srv, mux, nil
}

// onlyRoom keeps clients from creating other channels.
func onlyRoom(channel string) error {
	if channel != room {
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

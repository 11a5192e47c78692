// Command presence shows who is in a room, on all nodes of a cluster. It serves
// http://localhost:8000/ alone, or several of it, each with a name and addresses
// of its own:
//
//	export CLUSTER_SECRET=$(openssl rand -hex 16)
//	go run ./presence -addr :8000 -name a -listen 127.0.0.1:6222 -routes 127.0.0.1:6222,127.0.0.1:6223
//	go run ./presence -addr :8001 -name b -listen 127.0.0.1:6223 -routes 127.0.0.1:6222,127.0.0.1:6223
//
// Kill one of them: the users of its pages leave on the other, two seconds later.
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
)

//go:embed index.html
var page []byte

// room is the only channel.
const room = "room"

// name is that of the user of a socket. A real application has logins instead,
// and leaves PresenceOptions.User out.
var name socketcluster.Key[string]

func main() {
	addr := flag.String("addr", ":8000", "the `address` of the page")
	o := cluster.Options{Secret: os.Getenv("CLUSTER_SECRET")}
	flag.StringVar(&o.Name, "name", "a", "the name of the node")
	flag.StringVar(&o.Listen, "listen", "", "the `address` for other nodes")
	routes := flag.String("routes", "", "the `addresses` of other nodes, separated by commas")
	flag.Parse()
	if *routes != "" {
		o.Routes = strings.Split(*routes, ",")
	}
	node, err := cluster.Start(context.Background(), o)
	if err != nil {
		log.Fatal(err)
	}
	defer node.Close()
	srv, handler, err := newHandler(node, cluster.DefaultDebounce)
	if err != nil {
		log.Fatal(err)
	}
	web := &http.Server{Addr: *addr, Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	if err := srv.Run(web); err != nil {
		log.Print(err)
	}
}

func newHandler(node *cluster.Node, debounce time.Duration) (*socketcluster.Server, http.Handler, error) {
	srv, err := socketcluster.New(socketcluster.Config{Broker: node.Broker()})
	if err != nil {
		return nil, nil, err
	}
	presence, err := cluster.NewPresence(node, srv, cluster.PresenceOptions{
		User:     func(s *socketcluster.Socket) string { n, _ := name.Get(s); return n },
		Debounce: debounce,
		OnLeave:  func(_ context.Context, l cluster.Leave) { log.Printf("%s has left %s", l.User, l.Channel) },
	})
	if err != nil {
		srv.Close()
		return nil, nil, err
	}
	srv.Handle("presence", presence.Handler())
	srv.Handle("name", socketcluster.Proc(setName))
	socketcluster.Use(srv, func(_ context.Context, a *socketcluster.Subscribe) error {
		if a.Channel != room && a.Channel != socketcluster.PresenceChannel(room) {
			return socketcluster.Errorf("ChannelError", "There is no such channel")
		}
		return nil
	})
	mux := http.NewServeMux()
	mux.Handle("GET "+socketcluster.DefaultPath, srv)
	mux.Handle("GET /client.js", browser.Handler())
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { w.Write(page) })
	return srv, mux, nil
}

// setName gives a socket its name, before it subscribes.
func setName(ctx context.Context, n string) error {
	s := socketcluster.FromContext(ctx)
	if n == "" || len(n) > 50 || s.IsSubscribed(room) {
		return socketcluster.Errorf("NameError", "Choose a short name before you enter")
	}
	name.Set(s, n)
	return nil
}

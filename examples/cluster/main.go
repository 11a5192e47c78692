// Command cluster is one server in several processes: users are reached on whichever node
// they are, and a logout on all devices reaches all nodes. Each node has a name, a
// folder and addresses of its own, and the same keys:
//
//	export AUTH_KEY=$(openssl rand -hex 32) CLUSTER_SECRET=$(openssl rand -hex 16)
//	R=127.0.0.1:6222,127.0.0.1:6223,127.0.0.1:6224
//	go run ./cluster -addr :8000 -name a -store a -listen 127.0.0.1:6222 -routes $R
//	go run ./cluster -addr :8001 -name b -store b -listen 127.0.0.1:6223 -routes $R
//	go run ./cluster -addr :8002 -name c -store c -listen 127.0.0.1:6224 -routes $R
//
// Then open http://localhost:8000/ and http://localhost:8001/. In production, all of them
// are behind a load balancer that asks for /readyz.
package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/browser"
	"github.com/socketcluster-go/socketcluster/cluster"
)

//go:embed index.html
var page []byte

func main() {
	addr := flag.String("addr", ":8000", "the `address` of the page")
	o := cluster.Options{Secret: os.Getenv("CLUSTER_SECRET"), UserClaim: "sub"}
	flag.StringVar(&o.Name, "name", "a", "the name of the node")
	flag.StringVar(&o.StoreDir, "store", "cluster", "the `folder` of what the node stores")
	flag.StringVar(&o.Listen, "listen", "", "the `address` for other nodes")
	routes := flag.String("routes", "", "the `addresses` of all nodes, separated by commas")
	flag.Parse()
	if *routes != "" {
		o.Routes = strings.Split(*routes, ",")
	}
	if err := run(*addr, os.Getenv("AUTH_KEY"), o); err != nil {
		log.Fatal(err)
	}
}

// run serves until the process is asked to stop: then the node is not ready any more, its
// clients connect to others, and it leaves the cluster.
func run(addr, key string, o cluster.Options) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	node, err := cluster.Start(ctx, o)
	if err != nil {
		return err
	}
	defer node.Close()
	// This waits until a majority of the nodes is there.
	revocations, err := node.Revocations(ctx, cluster.RevocationOptions{})
	if err != nil {
		return err
	}
	srv, handler, err := newHandler(ctx, key, node, revocations)
	if err != nil {
		return err
	}
	return srv.Run(&http.Server{Addr: addr, Handler: handler, ReadHeaderTimeout: 5 * time.Second})
}

func newHandler(ctx context.Context, key string, node *cluster.Node, revocations *cluster.Revocations) (*socketcluster.Server, http.Handler, error) {
	srv, err := socketcluster.New(socketcluster.Config{
		Auth:        auth.Options{Key: key, DefaultExpiry: life},
		Broker:      node.Broker(),
		Revocations: revocations,
	})
	if err != nil {
		return nil, nil, err
	}
	// While the node may lack revocations of the others, clients try another one.
	srv.UseHandshake(revocations.Middleware(nil))
	if err := node.Attach(srv); err != nil { // its sockets can be reached from all nodes
		srv.Close()
		return nil, nil, err
	}
	(&calls{srv, node}).register()
	mux := http.NewServeMux()
	mux.Handle("GET "+socketcluster.DefaultPath, srv)
	mux.Handle("GET /client.js", browser.Handler())
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { w.Write(page) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if ctx.Err() != nil || revocations.Current() != nil {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return srv, mux, nil
}

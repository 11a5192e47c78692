// Command redux-devtools is the server between applications that use the npm
// package @redux-devtools/remote and the monitors of Redux DevTools: the part of
// the npm package @redux-devtools/cli that speaks SocketCluster, with its
// reports.
//
//	npm install @redux-devtools/app
//	go run ./redux-devtools -app node_modules/@redux-devtools/app/build/web
//
// It serves the monitor at http://localhost:8000/. Choose Settings, Connection
// and "custom" there, and connect. An application connects with
// devToolsEnhancer({realtime: true, hostname: 'localhost', port: 8000}).
//
// Continue with relay.go: it has the messages between the two sides. When the
// server is started anew, both sides come back by themselves. Reports are in
// reports.go. They are kept in memory, like those of the npm package by default.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth/httpauth"
)

// maxMessage is the maximum size of a message and of a report, in bytes. The
// state of an application is in one of them.
const maxMessage = 16 << 20

// settings are the arguments of the program.
type settings struct {
	addr, protocol1, app string
	origins              []string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var s settings
	flag.StringVar(&s.addr, "addr", "localhost:8000", "listen on this `address`")
	flag.StringVar(&s.protocol1, "protocol1", "", "listen on this `address` too, for the packages remote-redux-devtools and remotedev; they speak version 1 of the protocol, at the same path")
	flag.StringVar(&s.app, "app", "", "`folder` of the monitor, build/web of @redux-devtools/app")
	origins := flag.String("origins", "localhost:*,127.0.0.1:*", "`origins` of the pages that may connect")
	flag.Parse()
	s.origins = strings.Split(*origins, ",")
	if err := run(ctx, s); err != nil {
		log.Fatal(err)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, s settings) error {
	srv, current, old, err := newHandlers(s)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", s.addr)
	if err != nil {
		return err
	}
	if s.protocol1 != "" {
		second, err := net.Listen("tcp", s.protocol1)
		if err != nil {
			return errors.Join(err, listener.Close())
		}
		fmt.Println("version 1 at", second.Addr())
		web := newWeb(old)
		go func() {
			if err := web.Serve(second); !errors.Is(err, http.ErrServerClosed) {
				log.Print(err)
			}
		}()
		defer web.Close() // its sockets end with srv
	}
	fmt.Println("listening on", listener.Addr())
	return srv.Serve(ctx, newWeb(current), listener)
}

func newWeb(handler http.Handler) *http.Server {
	return &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second}
}

// newHandlers returns a server, and what serves it in the current version of the
// protocol and in version 1.
func newHandlers(s settings) (srv *socketcluster.Server, current, old http.Handler, err error) {
	// A monitor reads and changes the state of applications, so pages from
	// elsewhere must not be one. Programs that are no pages have no origin.
	origins, err := httpauth.ParseOrigins(s.origins...)
	if err != nil {
		return nil, nil, nil, err
	}
	srv, err = socketcluster.New(socketcluster.Config{
		Origins: s.origins, AllowMissingOrigin: true, Limits: socketcluster.Limits{MessageSize: maxMessage},
	})
	if err != nil {
		return nil, nil, nil, err
	}
	kept := &reports{limit: maxReports}
	newRelay(srv, kept)
	routes := func(sockets http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("GET "+socketcluster.DefaultPath, sockets)
		mux.Handle("POST /{$}", &reportsHandler{reports: kept, exchange: srv.Exchange(), origins: origins})
		mux.Handle("OPTIONS /{$}", preflight(origins))
		if s.app != "" {
			mux.Handle("GET /", http.FileServer(http.Dir(s.app)))
		}
		return mux
	}
	return srv, routes(srv), routes(srv.Protocol1()), nil
}

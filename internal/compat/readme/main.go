// Command readme is the server in the README, from the next line on.
package main

import (
	"context"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/browser"
)

func main() {
	srv, err := socketcluster.New(socketcluster.Config{Auth: auth.Options{Key: os.Getenv("AUTH_KEY")}})
	if err != nil {
		log.Fatal(err)
	}
	srv.Handle("greet", socketcluster.Func(func(ctx context.Context, name string) (string, error) {
		return "Hello, " + name, nil
	}))
	http.Handle("GET "+socketcluster.DefaultPath, srv) // GET /socketcluster/
	http.Handle("GET /socketcluster.js", browser.Handler())
	http.Handle("/", http.FileServer(http.Dir("public")))
	web := &http.Server{Addr: ":8000", ReadHeaderTimeout: 5 * time.Second}
	if err := srv.Run(web); err != nil { // until SIGINT or SIGTERM
		log.Fatal(err)
	}
}

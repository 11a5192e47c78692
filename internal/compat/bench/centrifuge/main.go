// Command centrifuge is the counterpart of ../../contract on the library
// centrifuge, the Go server with which the bench command compares this project.
// It verifies HS256 tokens, echoes, accepts subscriptions and publications, and
// sends pings. Everything else has the defaults of the library.
//
// It is a module of its own, so that nothing else depends on that library. It
// reads the environment of the contract server, as far as the benchmark uses it.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/centrifugal/centrifuge"
	"github.com/golang-jwt/jwt/v5"
)

// defaultPingInterval is that of SocketCluster.
const defaultPingInterval = 8 * time.Second

// compressionThreshold is the default of the other servers.
const compressionThreshold = 1024

// claims are the claims in the tokens of the contract server.
type claims struct {
	Username string   `json:"username"`
	Channels []string `json:"channels"`
	jwt.RegisteredClaims
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		slog.Error("centrifuge server failed", slog.Any("error", err))
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	pings, err := pingPong()
	if err != nil {
		return err
	}
	config := centrifuge.WebsocketConfig{PingPongConfig: pings}
	if text := os.Getenv("COMPRESSION"); text != "" {
		if config.CompressionLevel, err = strconv.Atoi(text); err != nil {
			return fmt.Errorf("COMPRESSION must be a level: %w", err)
		}
		config.Compression, config.CompressionMinSize = true, compressionThreshold
	}
	procedures, err := procedures()
	if err != nil {
		return err
	}
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		return err
	}
	key := []byte(os.Getenv("AUTH_KEY"))
	node.OnConnecting(func(_ context.Context, e centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		credentials, err := identify(e.Token, key)
		return centrifuge.ConnectReply{Credentials: credentials, ClientSideRefresh: true}, err
	})
	node.OnConnect(func(client *centrifuge.Client) { handle(client, procedures) })
	if err := node.Run(); err != nil {
		return err
	}
	return serve(ctx, node, centrifuge.NewWebsocketHandler(node, config))
}

// pingPong reads the environment. The library asks for a pong before the next
// ping, where SocketCluster allows 20 seconds.
func pingPong() (centrifuge.PingPongConfig, error) {
	interval := defaultPingInterval
	if text := os.Getenv("PING_INTERVAL"); text != "" {
		ms, err := strconv.Atoi(text)
		if err != nil || ms <= 0 {
			return centrifuge.PingPongConfig{}, fmt.Errorf("PING_INTERVAL is %q: it must be a number of milliseconds", text)
		}
		interval = time.Duration(ms) * time.Millisecond
	}
	return centrifuge.PingPongConfig{PingInterval: interval, PongTimeout: interval * 9 / 10}, nil
}

// identify verifies a token. Without one, a client is anonymous.
func identify(token string, key []byte) (*centrifuge.Credentials, error) {
	if token == "" {
		return &centrifuge.Credentials{}, nil
	}
	var c claims
	_, err := jwt.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return key, nil }, jwt.WithValidMethods([]string{"HS256"}))
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return nil, centrifuge.ErrorTokenExpired
	case err != nil:
		return nil, centrifuge.DisconnectInvalidToken
	}
	credentials := &centrifuge.Credentials{UserID: c.Username}
	if c.ExpiresAt != nil {
		credentials.ExpireAt = c.ExpiresAt.Unix()
	}
	return credentials, nil
}

// procedures are echo, and as many more as HANDLERS says.
func procedures() (map[string]centrifuge.RPCHandler, error) {
	echo := func(e centrifuge.RPCEvent, done centrifuge.RPCCallback) {
		done(centrifuge.RPCReply{Data: e.Data}, nil)
	}
	all := map[string]centrifuge.RPCHandler{"echo": echo}
	n, err := strconv.Atoi(cmp.Or(os.Getenv("HANDLERS"), "0"))
	if err != nil {
		return nil, fmt.Errorf("HANDLERS must be a number: %w", err)
	}
	for i := range n {
		all["echo."+strconv.Itoa(i)] = echo
	}
	return all, nil
}

// handle sets what a client may do.
func handle(client *centrifuge.Client, procedures map[string]centrifuge.RPCHandler) {
	client.OnRPC(func(e centrifuge.RPCEvent, done centrifuge.RPCCallback) {
		if run, ok := procedures[e.Method]; ok {
			run(e, done)
			return
		}
		done(centrifuge.RPCReply{}, centrifuge.ErrorMethodNotFound)
	})
	client.OnSubscribe(func(e centrifuge.SubscribeEvent, done centrifuge.SubscribeCallback) {
		done(centrifuge.SubscribeReply{}, guardPrivate(client, e.Channel))
	})
	client.OnPublish(func(e centrifuge.PublishEvent, done centrifuge.PublishCallback) {
		done(centrifuge.PublishReply{}, guardPrivate(client, e.Channel))
	})
}

// guardPrivate keeps anonymous clients out of private channels.
func guardPrivate(client *centrifuge.Client, channel string) error {
	if strings.HasPrefix(channel, "private.") && client.UserID() == "" {
		return centrifuge.ErrorPermissionDenied
	}
	return nil
}

func serve(ctx context.Context, node *centrifuge.Node, websocket http.Handler) error {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", cmp.Or(os.Getenv("PORT"), "8000")))
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/connection/websocket", websocket)
	httpServer := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second}
	fmt.Println("listening on", listener.Addr())

	failed := make(chan error, 1)
	go func() {
		if cert := os.Getenv("TLS_CERT"); cert != "" {
			failed <- httpServer.ServeTLS(listener, cert, os.Getenv("TLS_KEY"))
			return
		}
		failed <- httpServer.Serve(listener)
	}()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	err = errors.Join(httpServer.Shutdown(drain), node.Shutdown(drain))
	if errors.Is(err, context.DeadlineExceeded) {
		return nil // the clients that were left have been dropped
	}
	return err
}

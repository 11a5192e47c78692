package wall

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster"
)

// channel is where the clients publish. It is for those who are logged in.
const channel = "members"

// pongsWanted is how many pings a client must have answered.
const pongsWanted = 3

// server is the server of one client.
type server struct {
	port string

	mu      sync.Mutex
	pongs   int
	answers chan struct{} // closed when there are enough pongs
}

type credentials struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

type claims struct {
	Username string `json:"username"`
}

// start serves for the duration of a test.
func start(t *testing.T, cfg socketcluster.Config) *server {
	t.Helper()
	cfg.Auth.Key = "the auth key of the compatibility tests"
	cfg.Timeouts.PingInterval = 50 * time.Millisecond
	cfg.Logger = slog.New(slog.DiscardHandler)
	srv, err := socketcluster.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{answers: make(chan struct{})}
	s.handle(srv)
	web := httptest.NewServer(srv)
	t.Cleanup(func() {
		srv.Close()
		web.Close()
	})
	u, err := url.Parse(web.URL)
	if err != nil {
		t.Fatal(err)
	}
	s.port = u.Port()
	return s
}

func (s *server) handle(srv *socketcluster.Server) {
	srv.Handle("pings", socketcluster.Proc(func(ctx context.Context, _ any) error {
		select {
		case <-s.answers:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}))
	srv.Handle("half", socketcluster.Func(func(_ context.Context, in int) (int, error) {
		if in%2 != 0 {
			return 0, socketcluster.Errorf("MathError", "Odd")
		}
		return in / 2, nil
	}))
	srv.Handle("callMe", socketcluster.Func(func(ctx context.Context, in int) (int, error) {
		return socketcluster.InvokeAs[int](ctx, socketcluster.FromContext(ctx), "double", in)
	}))
	srv.Handle("login", socketcluster.Proc(func(ctx context.Context, in credentials) error {
		if in.Password != "secret" {
			return socketcluster.Errorf("LoginError", "Invalid user credentials")
		}
		return socketcluster.FromContext(ctx).SetAuthToken(ctx, claims{in.Username})
	}))
	srv.Handle("whoami", socketcluster.Func(func(ctx context.Context, _ any) (string, error) {
		c, _ := socketcluster.Claims[claims](socketcluster.FromContext(ctx))
		return c.Username, nil
	}))
	srv.Receive("note", socketcluster.Recv(func(ctx context.Context, in string) error {
		return socketcluster.FromContext(ctx).Transmit(ctx, "noted", in)
	}))
	srv.Receive("drop", socketcluster.Recv(func(ctx context.Context, _ any) error {
		socketcluster.FromContext(ctx).Terminate()
		return nil
	}))
	socketcluster.Use(srv, func(_ context.Context, a *socketcluster.Subscribe) error { return members(a.Socket, a.Channel) })
	socketcluster.Use(srv, func(_ context.Context, a *socketcluster.PublishIn) error { return members(a.Socket, a.Channel) })
	socketcluster.Use(srv, func(_ context.Context, a *socketcluster.RawMessage) error {
		switch string(a.Data) {
		case a.Socket.ProtocolVersion().Pong(), "\xa2#2":
			s.pong()
		}
		return nil
	})
}

func members(s *socketcluster.Socket, name string) error {
	if name == channel && s.AuthState() != socketcluster.Authenticated {
		return socketcluster.Errorf("MembersError", "For members")
	}
	return nil
}

func (s *server) pong() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pongs++; s.pongs == pongsWanted {
		close(s.answers)
	}
}

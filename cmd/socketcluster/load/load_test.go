package load_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/cmd/socketcluster/load"
)

// Nothing is left after the tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serve(t *testing.T, setups ...func(*socketcluster.Server)) (url string) {
	t.Helper()
	srv, err := socketcluster.New(socketcluster.Config{Auth: auth.Options{Key: "a key for the tests of the load, which is long enough"}})
	if err != nil {
		t.Fatal(err)
	}
	srv.Handle("login", socketcluster.Proc(func(ctx context.Context, name string) error {
		return socketcluster.FromContext(ctx).SetAuthToken(ctx, map[string]string{"username": name})
	}))
	var twice atomic.Int32
	socketcluster.Use(srv, func(_ context.Context, a *socketcluster.Subscribe) error {
		if a.Channel == "forbidden" || a.Channel == "once for each" && twice.Add(1) > 2 {
			return socketcluster.Errorf("ForbiddenError", "no")
		}
		return nil
	})
	calls := 0
	srv.HandleDefault(func(_ context.Context, c *socketcluster.Call) (any, error) {
		if c.Procedure == "slow" {
			if calls++; calls == 1 { // in order, for the one client of that test
				time.Sleep(300 * time.Millisecond)
			}
			return nil, nil
		}
		return nil, socketcluster.Errorf("NoSuchThing", "no")
	})
	for _, setup := range setups {
		setup(srv)
	}
	mux := http.NewServeMux()
	mux.Handle(socketcluster.DefaultPath, srv)
	hs := httptest.NewServer(mux)
	t.Cleanup(func() {
		srv.Close()
		hs.Close()
	})
	return hs.URL
}

func of(t *testing.T, r *load.Report, name string) load.Result {
	t.Helper()
	for _, result := range r.Results {
		if result.Name == name {
			return result
		}
	}
	t.Fatalf("the report has no %s: %+v", name, r)
	return load.Result{}
}

// The clients begin when they are authenticated: the token of socketcluster-server on
// Node.js may follow the answer to a login. A login without a token is a failure that names
// what is missing.
func TestTokenAfterAnswer(t *testing.T) {
	url := serve(t, func(srv *socketcluster.Server) {
		srv.Handle("late", socketcluster.HandlerFunc(func(ctx context.Context, c *socketcluster.Call) (any, error) {
			c.Reply(nil)
			time.Sleep(50 * time.Millisecond)
			return nil, c.Socket.SetAuthToken(ctx, map[string]string{"username": "alice"})
		}))
		srv.Handle("none", socketcluster.Proc(func(context.Context, socketcluster.None) error { return nil }))
		socketcluster.Use(srv, func(_ context.Context, a *socketcluster.Subscribe) error {
			if a.Channel == "members" && a.Socket.AuthToken() == nil {
				return socketcluster.Errorf("ForbiddenError", "log in first")
			}
			return nil
		})
	})
	run := func(login string) *load.Report {
		r, err := load.Run(t.Context(), load.Options{
			URL: url, Client: client.Options{Timeouts: client.Timeouts{Ack: time.Second}}, Connections: 5, Login: login, Channel: "members",
			Duration: 100 * time.Millisecond,
		})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := run("late")
	if got := of(t, r, "login"); got.Count != 5 || got.Latency.P50 < 50 {
		t.Errorf("login: %+v", got)
	}
	if got := of(t, r, "subscribe"); got.Count != 5 || r.Failed() > 0 {
		t.Errorf("subscribe: %+v, %d failed", got, r.Failed())
	}
	if got := of(t, run("none"), "login"); got.Count != 0 || got.Errors[client.ErrNoToken.Error()] != 5 {
		t.Errorf("login without a token: %+v", got)
	}
}

// The names of errors are the server's: they do not reach the terminal as commands, and do
// not fill it.
func TestErrorNames(t *testing.T) {
	var n atomic.Int32
	url := serve(t, func(srv *socketcluster.Server) {
		srv.Handle("evil", socketcluster.Proc(func(context.Context, socketcluster.None) error {
			return socketcluster.Errorf(fmt.Sprintf("\x1b[2J\n%d%s", n.Add(1), strings.Repeat("é", 300)), "no")
		}))
	})
	r, err := load.Run(t.Context(), load.Options{URL: url, Connections: 1, Call: "evil", CallRate: 300, Duration: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	got := of(t, r, "call")
	if r.Failed() != 30 || len(got.Errors) != 21 || got.Errors["other errors"] != 10 {
		t.Errorf("%d failed: %v", r.Failed(), got.Errors)
	}
	var table bytes.Buffer
	if err := r.Print(&table); err != nil {
		t.Fatal(err)
	}
	if text := table.String(); strings.Contains(text, "\x1b") || !strings.Contains(text, `\u001b[2J 1é`) || len(text) > 8000 || !utf8.ValidString(text) {
		t.Errorf("%d bytes: %q", len(text), text)
	}
	if line := table.String(); !strings.Contains(line, "–") { // no call has succeeded
		t.Error(line)
	}
}

// Clients take the data of logins in turn.
func TestLogins(t *testing.T) {
	var mu sync.Mutex
	logins := make(map[string]int)
	url := serve(t, func(srv *socketcluster.Server) {
		socketcluster.On(srv, func(e socketcluster.AuthenticateEvent) {
			var claims struct{ Username string }
			if err := json.Unmarshal(e.AuthToken.Payload(), &claims); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			logins[claims.Username]++
		})
	})
	_, err := load.Run(t.Context(), load.Options{
		URL: url, Connections: 5, ConnectRate: 1000, Login: "login",
		LoginData: []json.RawMessage{json.RawMessage(`"alice"`), json.RawMessage(`"bob"`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if want := map[string]int{"alice": 3, "bob": 2}; !maps.Equal(logins, want) {
		t.Errorf("the logins are %v, want %v", logins, want)
	}
}

// Each phase counts what it has done.
func TestRun(t *testing.T) {
	url := serve(t)
	var progress bytes.Buffer
	r, err := load.Run(t.Context(), load.Options{
		URL: url, Connections: 10, ConnectRate: 1000,
		Login: "login", LoginData: []json.RawMessage{json.RawMessage(`"alice"`)},
		Call: "other", CallRate: 100,
		Channel: "news", Subscribers: 4, PublishRate: 50, PublishSize: 200,
		Duration: 1100 * time.Millisecond, Storm: true, Progress: &progress,
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int64{"connect": 10, "login": 10, "subscribe": 4, "publish": 55, "delivery": 220, "storm": 10} {
		if got := of(t, r, name); got.Count != want || len(got.Errors) > 0 || got.Latency.P50 <= 0 || got.Latency.Max < got.Latency.P99 {
			t.Errorf("%s: %+v, want %d", name, got, want)
		}
	}
	if got := of(t, r, "call"); got.Count != 0 || got.Errors["NoSuchThing"] != 110 {
		t.Errorf("call: %+v, want 110 errors", got)
	}
	if r.Failed() != 110 {
		t.Errorf("%d have failed", r.Failed())
	}
	if !strings.Contains(progress.String(), "publish") {
		t.Errorf("the progress is %q", progress.String())
	}
	path := filepath.Join(t.TempDir(), "report.json")
	if err := r.Write(path); err != nil {
		t.Fatal(err)
	}
	again, err := load.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	var table, comparison bytes.Buffer
	if err := again.Print(&table); err != nil {
		t.Fatal(err)
	}
	if err := load.Compare(&comparison, r, again); err != nil {
		t.Fatal(err)
	}
	again.Results = append(again.Results, load.Result{Name: "more"})
	if err := load.Compare(&comparison, r, again); err != nil {
		t.Fatal(err)
	}
	if text := comparison.String(); strings.Count(text, "only in") != 1 || !strings.Contains(text, "only in B: more") || strings.Contains(text, "call p50") {
		t.Error(text)
	}
	if !strings.Contains(table.String(), "call: 110 × NoSuchThing") || !strings.Contains(comparison.String(), "1.00") {
		t.Errorf("table:\n%s\ncomparison:\n%s", table.String(), comparison.String())
	}
}

// A storm does not wait for a subscription that was refused before it, and tells
// why one is refused in it.
func TestStormWithRefusals(t *testing.T) {
	url := serve(t)
	r, err := load.Run(t.Context(), load.Options{URL: url, Connections: 2, Channel: "forbidden", Duration: 100 * time.Millisecond, Storm: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := of(t, r, "storm"); got.Count != 2 || got.Seconds > 30 {
		t.Errorf("after a refusal: %+v", got)
	}
	r, err = load.Run(t.Context(), load.Options{URL: url, Connections: 2, Channel: "once for each", Duration: 100 * time.Millisecond, Storm: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := of(t, r, "storm"); got.Errors["ForbiddenError"] != 2 {
		t.Errorf("with a refusal: %+v", got)
	}
}

// A call that stalls delays those that are due meanwhile, and their latencies say
// so.
func TestLatencyCountsFromWhenDue(t *testing.T) {
	r, err := load.Run(t.Context(), load.Options{URL: serve(t), Connections: 1, Call: "slow", CallRate: 100, Duration: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	// The first takes 300 ms, and the 29 after it wait for their turn: on average
	// for half of that.
	if got := of(t, r, "call"); got.Count != 50 || got.Latency.P50 < 30 || got.Latency.Max < 300 {
		t.Errorf("%+v", got)
	}
}

// An interruption ends the test at any time, with a report of what was done. What it cuts
// off is no error.
func TestInterruption(t *testing.T) {
	for name, test := range map[string]struct {
		o       load.Options
		when    func(srv *socketcluster.Server, interrupt func())
		results []string
	}{
		"connecting": {
			load.Options{Connections: 1000, ConnectRate: 100, Login: "login", Storm: true},
			func(srv *socketcluster.Server, interrupt func()) {
				var connected atomic.Int32
				socketcluster.On(srv, func(socketcluster.ConnectEvent) {
					if connected.Add(1) == 3 {
						interrupt()
					}
				})
			},
			[]string{"connect"},
		},
		"calling": {
			load.Options{Connections: 3, Call: "never answered", Channel: "news", Duration: time.Hour, Storm: true},
			func(srv *socketcluster.Server, interrupt func()) {
				srv.Handle("never answered", socketcluster.HandlerFunc(func(_ context.Context, c *socketcluster.Call) (any, error) {
					c.Detach()
					interrupt()
					return nil, nil
				}))
			},
			[]string{"connect", "subscribe", "delivery", "call", "publish"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			test.o.URL = serve(t, func(srv *socketcluster.Server) { test.when(srv, cancel) })
			r, err := load.Run(ctx, test.o)
			if err != nil {
				t.Fatal(err)
			}
			names := make(map[string]bool)
			for _, result := range r.Results {
				names[result.Name] = true
			}
			for _, name := range test.results {
				if !names[name] {
					t.Errorf("no %s", name)
				}
			}
			if !r.Interrupted || r.Failed() > 0 || len(r.Results) != len(test.results) || of(t, r, "connect").Count < 2 {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	for want, o := range map[string]load.Options{
		"connection refused":                            {URL: "ws://127.0.0.1:1", Connections: 2},
		"must begin with ws:// or wss://":               {URL: "ftp://127.0.0.1:1"},
		"connections is -1; it must not be negative":    {Connections: -1},
		"call-rate is -1; it must be from 0 to 1000000": {CallRate: -1},
		"duration is -1ns; it must not be negative":     {Duration: -1},
	} {
		if _, err := load.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := load.Read("load_test.go"); err == nil || !strings.Contains(err.Error(), "is not a report") {
		t.Errorf("reading something else: %v", err)
	}
	other := filepath.Join(t.TempDir(), "package.json")
	if err := os.WriteFile(other, []byte(`{"name":"x"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := load.Read(other); err == nil || !strings.Contains(err.Error(), "is not a report") {
		t.Errorf("reading other JSON: %v", err)
	}
}

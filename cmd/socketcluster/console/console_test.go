package console_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/cluster"
	"github.com/socketcluster-go/socketcluster/cmd/socketcluster/console"
	"github.com/socketcluster-go/socketcluster/internal/memnet"
)

// serve serves the procedures that the scripts of the tests call.
func serve(t *testing.T) (url string) { return serveWith(t, nil) }

// serveWith is serve with a broker; nil for one of the server's own.
func serveWith(t *testing.T, b broker.Broker) (url string) {
	t.Helper()
	srv, err := socketcluster.New(socketcluster.Config{Auth: auth.Options{Key: "a key for the tests of the console, long enough"}, Broker: b})
	if err != nil {
		t.Fatal(err)
	}
	srv.Handle("echo", socketcluster.Func(func(_ context.Context, in json.RawMessage) (json.RawMessage, error) { return in, nil }))
	srv.Handle("login", socketcluster.Proc(func(ctx context.Context, in struct{ Username, Password string }) error {
		if in.Password != "secret" {
			return socketcluster.Errorf("LoginError", "Invalid user credentials").With("user", in.Username)
		}
		return socketcluster.FromContext(ctx).SetAuthToken(ctx, map[string]string{"username": in.Username})
	}))
	srv.Handle("note me", socketcluster.Proc(func(ctx context.Context, in json.RawMessage) error {
		return socketcluster.FromContext(ctx).Transmit(ctx, "note", in)
	}))
	srv.Handle("zone of mine", socketcluster.Func(func(ctx context.Context, _ socketcluster.None) (string, error) {
		return socketcluster.InvokeAs[string](ctx, socketcluster.FromContext(ctx), "zone", nil)
	}))
	srv.Handle("transmit", socketcluster.Proc(func(ctx context.Context, event string) error {
		return socketcluster.FromContext(ctx).Transmit(ctx, event, nil)
	}))
	srv.Handle("fail", socketcluster.Proc(func(_ context.Context, text string) error {
		return socketcluster.Errorf(text, "%s", text)
	}))
	srv.Handle("kick", socketcluster.Proc(func(ctx context.Context, channel string) error {
		return socketcluster.FromContext(ctx).KickOut(ctx, channel, "bye")
	}))
	srv.Receive("go", socketcluster.Recv(func(ctx context.Context, code int) error {
		return socketcluster.FromContext(ctx).Disconnect(4500, "away")
	}))
	socketcluster.Use(srv, func(_ context.Context, a *socketcluster.Subscribe) error {
		if a.Channel == "forbidden" {
			return socketcluster.Errorf("ForbiddenError", "no")
		}
		return nil
	})
	mux := http.NewServeMux()
	mux.Handle(socketcluster.DefaultPath, srv)
	hs := httptest.NewServer(mux)
	t.Cleanup(func() {
		srv.Close()
		hs.Close()
	})
	return hs.URL
}

// run runs a script, and returns what it prints.
func run(t *testing.T, url, script string, change func(*console.Options)) (out string, err error) {
	t.Helper()
	var b bytes.Buffer
	o := console.Options{URL: url, In: strings.NewReader(script), Out: &b, File: "test.sc", Within: 5 * time.Second}
	if change != nil {
		change(&o)
	}
	err = console.Run(t.Context(), o)
	return b.String(), err
}

// Scripts that succeed.
func TestScripts(t *testing.T) {
	url := serve(t)
	for name, script := range map[string]string{
		"answers": `
			# a comment
			invoke echo {"a":1,"b":[1,2,{"c":null}]}
			expect answer {"b":[1,2,"*"]}
			expect no answer {"a":2}
			invoke echo 1.0
			expect answer 1
			invoke "echo" "a text"
			expect answer "a text"
			invoke echo
			expect answer`,
		"errors": `
			invoke login {"username":"bob","password":"wrong"}
			expect error LoginError {"user":"bob","message":"Invalid user credentials"}
			invoke none
			expect error UnknownProcedureError
			subscribe forbidden
			expect error ForbiddenError
			disconnect 999
			expect error InvalidArgumentsError
			invoke echo 1
			expect no error`,
		"losses": `
			expect no event lost within 1ms`,
		"login": `
			login login {"username":"alice","password":"secret"}
			expect event authenticate {"username":"alice"}
			state
			token
			logout
			expect event deauthenticate {"username":"alice"}
			token set nonsense
			expect error AuthTokenInvalidError`,
		"publications": `
			subscribe news
			publish news {"n":1}
			publish news {"n":2}
			transmit-publish news
			expect publish news {"n":2}
			expect publish news {"n":1}
			expect publish news
			expect no publish news within 50ms
			unsubscribe news
			expect event unsubscribe {"channel":"news"}
			publish news 3
			expect no publish news within 50ms`,
		"kick-out": `
			subscribe news
			invoke kick "news"
			expect event kickOut {"channel":"news","message":"bye"}`,
		"from the server": `
			invoke "note me" {"x":"y"}
			expect transmit note {"x":"y"}
			answer zone "UTC"
			invoke "zone of mine"
			expect call zone
			expect answer "UTC"`,
		"wait for auth": `
			subscribe "my room" wait-for-auth
			expect no event subscribe within 50ms
			login login {"username":"alice","password":"secret"}
			expect event subscribe {"channel":"my room"}`,
		"close codes": `
			transmit go 1
			expect close 4500 within 3s
			expect event disconnect {"reason":"away"}
			connect
			disconnect 4001 "no more"
			expect close 4001`,
		"quit": `
			quit
			never read`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if out, err := run(t, url, script, nil); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// A subscription begins with the last publications of a channel that keeps them.
func TestHistoryOfAChannel(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	node, err := cluster.Start(ctx, cluster.Options{
		Name: "a", StoreDir: t.TempDir(), History: []cluster.HistoryRule{{Channel: "news", Size: 3, Age: time.Hour}},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(node.Close)
	if err := node.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	url := serveWith(t, node.Broker())
	out, err := run(t, url, `
		publish news 1
		publish news 2
		publish news 3
		publish news 4
		subscribe news last=2 {"q":1}
		expect publish news 4
		expect no publish news 2 within 50ms
		publish news 5
		expect publish news 5
		subscribe news last=10
		expect publish news 5
		subscribe forbidden last=1
		expect error ForbiddenError
		subscribe "my room" last=10 wait-for-auth
		expect no event subscribe {"channel":"my room"} within 50ms`, nil)
	if want := "« publish news 3\n« publish news 4\n« publish news 5\n« publish news 3\n« publish news 4\n« publish news 5\n"; err != nil || publications(out) != want {
		t.Errorf("%v\n%s\nwant %s", err, out, want)
	}
}

// publications returns the lines of an output that show publications.
func publications(out string) (shown string) {
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "« publish ") {
			shown += line
		}
	}
	return shown
}

// Scripts that fail say in which line, and why.
func TestScriptsThatFail(t *testing.T) {
	url := serve(t)
	for script, want := range map[string]string{
		"invoke echo 1\nexpect answer 2":                                    "test.sc:2: the answer was 1",
		"invoke none":                                                       "test.sc:1: UnknownProcedureError: ",
		"invoke none\ninvoke echo":                                          "test.sc:1: UnknownProcedureError: ",
		"invoke none\nexpect error LoginError":                              "test.sc:2: the error was UnknownProcedureError",
		"invoke none\nexpect no error UnknownProcedureError":                "test.sc:2: the error was",
		"expect error":                                                      "test.sc:1: the line before has not failed",
		"\n\nexpect publish news within 10ms":                               "test.sc:3: publish news has not come within 10ms",
		"subscribe news\npublish news 1\nexpect publish news 2 within 50ms": "there is one with 1",
		"subscribe news\npublish news 1\nexpect no publish news within 1s":  "publish news 1 has happened",
		"expect answer":                                                     "test.sc:1: no call has been answered",
		"invoke echo 1\ninvoke none\nexpect error\nexpect answer":           "test.sc:4: no call has been answered, or the last one has failed",
		"expect no event kickout within 1ms":                                `test.sc:1: there is no event "kickout"`,
		"expect no close soon within 1ms":                                   `test.sc:1: "soon" is not a close code`,
		"invok echo":                                                        `there is no command "invok"; is invoke meant?`,
		"frobnicate":                                                        `there is no command "frobnicate"; help lists them`,
		"invoke echo {a}":                                                   "the data is not JSON: invalid character 'a'",
		"invoke":                                                            "the name of the procedure is missing",
		`invoke "echo`:                                                      "is not a JSON text",
		"expect nothing":                                                    "expect nothing is not known",
		"wait long":                                                         "is not a duration",
		"quit now":                                                          `"now" is too much`,
		"disconnect soon":                                                   "is not a close code",
		"token steal":                                                       "token steal is not known",
		"subscribe news last=all":                                           `"all" is not a number of publications`,
		"subscribe news wait-for-auth last=-1":                              `"-1" is not a number of publications`,
		"subscribe news last=1 all":                                         "the data is not JSON",
		"help frobnicate":                                                   "there is no command",
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			out, err := run(t, url, script, nil)
			if !errors.Is(err, console.ErrFailed) || !strings.Contains(out, want) {
				t.Errorf("%v\n%s\nwant %s", err, out, want)
			}
		})
	}
	out, err := run(t, "", "invoke echo 1", nil)
	if !errors.Is(err, console.ErrFailed) || !strings.Contains(out, "there is no connection: connect ws://localhost:8000") {
		t.Errorf("without a connection: %v\n%s", err, out)
	}
	out, err = run(t, "ws://127.0.0.1:1", "", nil)
	if !errors.Is(err, console.ErrFailed) || !strings.Contains(out, "connection refused") {
		t.Errorf("without a server: %v\n%s", err, out)
	}
}

// What a server sends is shown, and never obeyed by the terminal: names, errors,
// data, and the token.
func TestNoControlCharactersOfTheServer(t *testing.T) {
	const evil = "\x1b]0;owned\a\u009b31m\u202e"
	url := serve(t)
	for _, script := range []string{
		`invoke transmit ` + string(must(json.Marshal(evil))) + "\nwait 50ms",
		`invoke fail ` + string(must(json.Marshal(evil))),
		`invoke echo "` + "\u009b\x7f\u202e" + `"`,
		`login login {"username":` + string(must(json.Marshal(evil))) + `,"password":"secret"}` + "\nstate",
	} {
		out, err := run(t, url, script, func(o *console.Options) { o.Color = false })
		if strings.ContainsFunc(out, func(r rune) bool { return r != '\n' && (unicode.IsControl(r) || r == '\u202e') }) {
			t.Errorf("%s: %v\n%q", script, err, out)
		}
		if !strings.Contains(out, "u009b") {
			t.Errorf("%s: nothing is shown of it:\n%q", script, out)
		}
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// With JSON, each line is an object.
func TestJSONOutput(t *testing.T) {
	out, err := run(t, serve(t), "invoke echo {\"a\":1}\nsubscribe news\nexpect event subscribe\npublish news \"x\"\nexpect publish news\nstate\nhelp\ninvoke none", func(o *console.Options) { o.JSON = true })
	if !errors.Is(err, console.ErrFailed) {
		t.Fatal(err)
	}
	types := map[string]int{}
	for line := range strings.Lines(out) {
		var o struct {
			Type string
			Data json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		types[o.Type]++
		if o.Type == "answer" && string(o.Data) != `{"a":1}` {
			t.Errorf("the answer is %s", o.Data)
		}
	}
	for _, want := range []string{"answer", "publish", "event", "state", "text", "error"} {
		if types[want] == 0 {
			t.Errorf("nothing of type %s is printed: %s", want, out)
		}
	}
}

// The end of the context ends a script that waits: in a command, for a line, and for
// the connection. No line is blamed.
func TestScriptEndsWithContext(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	never, end := io.Pipe()
	defer end.Close()
	url := serve(t)
	for name, o := range map[string]console.Options{
		"command":    {URL: url, In: strings.NewReader("echo begun\nwait 1h")},
		"expect":     {URL: url, In: strings.NewReader("echo begun\nexpect publish news within 1h")},
		"line":       {URL: url, In: io.MultiReader(strings.NewReader("echo begun\n"), never)},
		"connection": {URL: "ws://" + silent.Addr().String()},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var b bytes.Buffer
			o.Out = io.MultiWriter(&b, writerFunc(func(line []byte) {
				if string(line) == "begun\n" {
					cancel()
				}
			}))
			if name == "connection" {
				go func() {
					if conn, err := silent.Accept(); err == nil {
						defer conn.Close()
						cancel()
						_, _ = io.Copy(io.Discard, conn) // until the client has gone
					}
				}()
			}
			if err := console.Run(ctx, o); !errors.Is(err, context.Canceled) || strings.Contains(b.String(), "✗") {
				t.Errorf("%v\n%s", err, &b)
			}
		})
	}
}

// The output of a short script is the same each time.
func TestOrderOfOutput(t *testing.T) {
	url := serve(t)
	for range 30 {
		out, err := run(t, url, `login login {"username":"alice","password":"secret"}`, nil)
		lines := strings.Split(out, "\n")
		if err != nil || len(lines) != 4 || !strings.HasPrefix(lines[0], "« connect ") ||
			!strings.HasPrefix(lines[1], "« authenticate ") || !strings.HasPrefix(lines[2], "authenticated ") {
			t.Fatalf("%v:\n%s", err, out)
		}
	}
}

// The error of a line that cannot be read says where, without what may be a password.
func TestErrorsKeepSecrets(t *testing.T) {
	for _, line := range []string{`login login {"password":"hunter2}`, `login "login {"password":"hunter2"}`} {
		out, err := run(t, serve(t), line, nil)
		if err == nil || !strings.Contains(out, "JSON") || strings.Contains(out, "hunter2") {
			t.Errorf("%v: %s", err, out)
		}
	}
}

// A login waits for the token that follows the answer, as that of socketcluster-server on
// Node.js does, and fails if none comes.
func TestLoginWithTokenAfterAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		after  time.Duration // 0: no token comes
		want   string
		takes  time.Duration
		failed bool
	}{
		"with the answer": {time.Nanosecond, `authenticated {"username":"alice"`, time.Nanosecond, false},
		"just in time":    {900 * time.Millisecond, `authenticated {"username":"alice"`, 900 * time.Millisecond, false},
		"too late":        {1100 * time.Millisecond, `"authState": "unauthenticated"`, time.Second, true},
		"never":           {0, `"authState": "unauthenticated"`, time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv, err := socketcluster.New(socketcluster.Config{
					Auth:   auth.Options{Key: "a key for the tests of the console, long enough"},
					Logger: slog.New(slog.DiscardHandler),
				})
				if err != nil {
					t.Fatal(err)
				}
				srv.Handle("login", socketcluster.HandlerFunc(func(ctx context.Context, c *socketcluster.Call) (any, error) {
					c.Reply(nil)
					if test.after == 0 {
						return nil, nil
					}
					select {
					case <-time.After(test.after):
					case <-ctx.Done():
					}
					return nil, c.Socket.SetAuthToken(ctx, map[string]string{"username": "alice"})
				}))
				listen := memnet.Listen()
				web := &http.Server{Handler: srv}
				go web.Serve(listen)
				defer func() {
					srv.Close()
					web.Close()
					listen.Close()
				}()
				begun := time.Now()
				var took time.Duration
				script := "login login\nexpect answer\nstate"
				if test.failed {
					script = "login login\nexpect error\nexpect answer\nstate"
				}
				out, err := run(t, "ws://server.test", script, func(o *console.Options) {
					o.Client.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return listen.Dial(ctx) }
					o.Client.Timeouts.Ack = time.Second
					o.Out = io.MultiWriter(o.Out, writerFunc(func(line []byte) {
						if bytes.HasPrefix(line, []byte("{")) { // the answer to state
							took = time.Since(begun)
						}
					}))
				})
				if err != nil || !strings.Contains(out, test.want) || took != test.takes {
					t.Errorf("%v after %v:\n%s\nwant %s after %v", err, took, out, test.want, test.takes)
				}
			})
		})
	}
}

// writerFunc is a function as an io.Writer.
type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}

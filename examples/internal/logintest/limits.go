package logintest

import (
	"encoding/json"
	"errors"
	"log"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/examples/internal/site"
	"github.com/socketcluster-go/socketcluster/login"
)

// attempts is the number of wrong passwords that a gate allows by default for a
// name from one address.
const attempts = 10

// LimitsCalls checks that one wrong password too many is refused over a socket,
// and that all of them are logged.
func LimitsCalls(t *testing.T, newHandler func() (*socketcluster.Server, http.Handler, error)) {
	t.Helper()
	server, logged := start(t, newHandler)
	client := server.Connect("")
	for range attempts {
		if _, err := client.Call("login", credentials{Username, "wrong"}); !errors.Is(err, login.ErrLogin) {
			t.Fatal(err)
		}
	}
	if _, err := client.Call("login", credentials{Username, Password}); !errors.Is(err, login.ErrRate) {
		t.Errorf("the attempt after %d wrong ones: %v", attempts, err)
	}
	logged.wait(t)
}

// LimitsRequests checks the same over HTTP.
func LimitsRequests(t *testing.T, newHandler func() (*socketcluster.Server, http.Handler, error)) {
	t.Helper()
	server, logged := start(t, newHandler)
	post := func(password string) (int, string) {
		body, err := json.Marshal(credentials{Username, password})
		if err != nil {
			t.Fatal(err)
		}
		return server.Do("POST", "/login", string(body), "Content-Type", "application/json")
	}
	for range attempts {
		if status, body := post("wrong"); status != http.StatusUnauthorized {
			t.Fatalf("a wrong password: %d: %s", status, body)
		}
	}
	if status, body := post(Password); status != http.StatusTooManyRequests || !strings.Contains(body, `"name":"LoginRateError"`) {
		t.Errorf("the attempt after %d wrong ones: %d: %s", attempts, status, body)
	}
	logged.wait(t)
}

// lines are the lines of the log.
type lines chan string

// Write implements io.Writer.
func (l lines) Write(line []byte) (int, error) {
	l <- string(line)
	return len(line), nil
}

// start starts an example that logs to lines.
func start(t *testing.T, newHandler func() (*socketcluster.Server, http.Handler, error)) (*site.Server, lines) {
	t.Helper()
	old, flags, output := slog.Default(), log.Flags(), log.Writer()
	logged := make(lines, 1000)
	slog.SetDefault(slog.New(slog.NewTextHandler(logged, nil))) // which log goes to, too
	t.Cleanup(func() {
		slog.SetDefault(old)
		log.SetFlags(flags)
		log.SetOutput(output)
	})
	_, handler, err := newHandler()
	if err != nil {
		t.Fatal(err)
	}
	return site.Serve(t, handler), logged
}

// wait waits until the failures and the refusal have been logged.
func (l lines) wait(t *testing.T) {
	t.Helper()
	late := time.After(time.Minute)
	for failed, limited := 0, 0; failed < attempts || limited == 0; {
		select {
		case line := <-l:
			if strings.Contains(line, "kind=loginFailed") {
				failed++
			}
			if strings.Contains(line, "kind=loginLimited") {
				limited++
			}
		case <-late:
			t.Fatalf("%d failures and %d refusals are on record", failed, limited)
		}
	}
}

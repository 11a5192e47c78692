package login

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/memnet"
	"github.com/socketcluster-go/socketcluster/wire"
)

// world is a gate in a bubble, with what it has put on record.
type world struct {
	t    *testing.T
	srv  *socketcluster.Server
	gate *Gate

	mu      sync.Mutex
	checked int // how many attempts got to the check
	audited []string
}

func inBubble(t *testing.T, o Options, fn func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		srv, err := socketcluster.New(socketcluster.Config{
			Auth:           auth.Options{Key: "a key of the test, with 32 bytes or more"},
			Logger:         slog.New(slog.DiscardHandler),
			TrustedProxies: []string{"10.0.0.0/8"},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer srv.Close()
		gate, err := New(srv, o)
		if err != nil {
			t.Fatal(err)
		}
		w := &world{t: t, srv: srv, gate: gate}
		socketcluster.On(srv, func(e socketcluster.AuditEvent) {
			w.mu.Lock()
			defer w.mu.Unlock()
			text := fmt.Sprintf("%s %s", e.Kind, e.User)
			if e.Address.IsValid() {
				text += " " + e.Address.String()
			}
			if e.Socket != nil {
				text += " socket"
			}
			if e.Reason != "" {
				text += ": " + e.Reason
			}
			w.audited = append(w.audited, text)
		})
		fn(w)
	})
}

// errBroken is an error that is not made for clients.
var errBroken = errors.New("the database is down")

// outcome is what a check finds.
func (w *world) check(outcome error) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		w.mu.Lock()
		w.checked++
		w.mu.Unlock()
		return "claims", outcome
	}
}

// try has a user try to log in over HTTP, from an address.
func (w *world) try(user, address string, outcome error) error {
	r := httptest.NewRequest(http.MethodPost, "/login", nil)
	r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(address), 1234).String()
	_, err := Do(w.t.Context(), w.gate, Attempt{User: user, Request: r}, w.check(outcome))
	return err
}

// fail has a user fail n times.
func (w *world) fail(n int, user, address string) {
	w.t.Helper()
	for i := range n {
		if err := w.try(user, address, ErrInvalidCredentials); !errors.Is(err, ErrLogin) {
			w.t.Fatalf("failure %d of %s from %s: %v", i, user, address, err)
		}
	}
}

// limited checks that an attempt is refused without being checked.
func (w *world) limited(user, address string, seconds int) {
	w.t.Helper()
	before := w.checked
	err := w.try(user, address, nil)
	want := &wire.Error{Name: "LoginRateError", Message: "Too many login attempts", Fields: []wire.Field{{Key: "retryAfter", Value: seconds}}}
	if diff := cmp.Diff(error(want), err); diff != "" {
		w.t.Errorf("%s from %s: %s", user, address, diff)
	}
	if w.checked != before {
		w.t.Errorf("%s from %s: the attempt was checked", user, address)
	}
}

func (w *world) takeAudited() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.audited
	w.audited = nil
	return all
}

func (w *world) wantAudited(want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.takeAudited()); diff != "" {
		w.t.Error(diff)
	}
}

const home, away = "192.0.2.1", "198.51.100.7"

func TestOutcomes(t *testing.T) {
	inBubble(t, Options{}, func(w *world) {
		public := &wire.Error{Name: "AccountLocked", Message: "Ask the help desk"}
		for _, test := range []struct {
			outcome, want error
			audited       string
		}{
			{nil, nil, "login alice 192.0.2.1"},
			{ErrInvalidCredentials, ErrLogin, "loginFailed alice 192.0.2.1: invalid credentials"},
			{fmt.Errorf("users: %w", ErrInvalidCredentials), ErrLogin, "loginFailed alice 192.0.2.1: invalid credentials"},
			{errBroken, errBroken, "loginFailed alice 192.0.2.1: the credentials could not be checked"},
			{public, public, "loginFailed alice 192.0.2.1: the credentials could not be checked"},
			{context.Canceled, context.Canceled, "loginFailed alice 192.0.2.1: the credentials could not be checked"},
		} {
			if err := w.try("alice", home, test.outcome); err != test.want {
				t.Errorf("%v became %v, want %v", test.outcome, err, test.want)
			}
			w.wantAudited(test.audited)
		}
		got, err := Do(t.Context(), w.gate, Attempt{User: "alice"}, w.check(nil))
		if got.Result != "claims" || err != nil {
			t.Errorf("Do = %q, %v", got, err)
		}
		got, err = Do(t.Context(), w.gate, Attempt{User: "alice"}, w.check(errBroken))
		if got != (Success[string]{}) || err != errBroken {
			t.Errorf("Do = %q, %v; want no result of a check that failed", got, err)
		}
	})
}

// The time of a login is that before its check, however long that takes.
func TestLoginTime(t *testing.T) {
	inBubble(t, Options{}, func(w *world) {
		start := time.Now()
		got, err := Do(t.Context(), w.gate, Attempt{User: "alice"}, func(context.Context) (int, error) {
			time.Sleep(3 * time.Second)
			return 1, nil
		})
		if err != nil || got.Result != 1 || !got.LoginTime.Equal(start) {
			t.Errorf("Do = %v, %v; want the time %v", got, err, start)
		}
	})
}

// A name that nobody has is limited like any other.
func TestPerUserAndAddress(t *testing.T) {
	inBubble(t, Options{}, func(w *world) {
		w.fail(10, "alice", home)
		w.limited("alice", home, 60)
		w.limited(" ALICE ", home, 60)
		w.fail(1, "bob", home)   // another user from there
		w.fail(1, "alice", away) // the same from elsewhere
		time.Sleep(59*time.Second + time.Millisecond)
		w.limited("alice", home, 1)
		time.Sleep(time.Second)
		w.fail(1, "alice", home)
		w.limited("alice", home, 60)
		// The bucket fills up, and no further.
		time.Sleep(time.Hour)
		w.fail(10, "alice", home)
		w.limited("alice", home, 60)
	})
}

func TestPerAddress(t *testing.T) {
	inBubble(t, Options{}, func(w *world) {
		for i := range 20 {
			w.fail(1, fmt.Sprint("user", i), "2001:db8:0:1::1")
		}
		w.limited("alice", "2001:db8:0:1:2:3:4:5", 3)
		w.fail(1, "alice", "2001:db8:0:2::1")
		time.Sleep(3 * time.Second)
		w.fail(1, "alice", "2001:db8:0:1::1")
		w.limited("alice", "2001:db8:0:1::1", 3)
	})
}

// Somebody with a whole /48 does not get the limit of an address 65,536 times.
func TestPerNetwork(t *testing.T) {
	inBubble(t, Options{}, func(w *world) {
		if err := w.try("alice", "2001:db8:0:ffff::1", nil); err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			w.fail(1, fmt.Sprint("user", i), fmt.Sprintf("2001:db8:0:%x::1", i))
		}
		w.limited("bob", "2001:db8:0:fffe::1", 1)
		w.limited("bob", "2001:db8:0:ffff::1", 1)
		w.takeAudited()
		time.Sleep(time.Minute)
		for i := range 100 {
			w.fail(1, fmt.Sprint("more", i), fmt.Sprintf("2001:db8:0:%x::1", i))
		}
		w.takeAudited()
		w.limited("bob", "2001:db8:0:fffe::1", 1)
		w.wantAudited("loginLimited bob 2001:db8:0:fffe::1: too many attempts by this network")
		// Users who have logged in from there before are not locked out.
		if err := w.try("alice", "2001:db8:0:ffff::1", nil); err != nil {
			t.Errorf("alice is locked out: %v", err)
		}
		w.fail(1, "bob", "2001:db8:1::1")
		// IPv4 addresses are far fewer.
		for i := range 200 {
			w.fail(1, fmt.Sprint("other", i), fmt.Sprintf("192.0.2.%d", i))
			w.fail(1, fmt.Sprint("mapped", i), fmt.Sprintf("::ffff:198.51.100.%d", i))
		}
	})
}

func TestPerNetworkDefault(t *testing.T) {
	for _, test := range []struct{ in, want Options }{
		{Options{}, Options{PerAddress: Rate{20, time.Minute}, PerNetwork: Rate{100, time.Minute}}},
		{Options{PerAddress: Rate{3, time.Hour}}, Options{PerAddress: Rate{3, time.Hour}, PerNetwork: Rate{15, time.Hour}}},
		{Options{PerAddress: Rate{3, time.Hour}, PerNetwork: Rate{4, time.Hour}}, Options{PerAddress: Rate{3, time.Hour}, PerNetwork: Rate{4, time.Hour}}},
	} {
		got := test.in
		if err := got.setDefaults(); err != nil {
			t.Fatal(err)
		}
		if got.PerAddress != test.want.PerAddress || got.PerNetwork != test.want.PerNetwork {
			t.Errorf("%+v became %+v", test.in, got)
		}
	}
}

// Somebody with one account and a network cannot make the gate forget another
// user's addresses: that user can still log in from earlier addresses while
// strangers fail in their name.
func TestKnownAddressStaysKnown(t *testing.T) {
	inBubble(t, Options{}, func(w *world) {
		var o Options
		if err := o.setDefaults(); err != nil {
			t.Fatal(err)
		}
		const room = 1 << 10
		w.gate = newGate(w.srv, o, room)
		if err := w.try("alice", home, nil); err != nil {
			t.Fatal(err)
		}
		for i := range 16 * room {
			if err := w.try("mallory", fmt.Sprintf("2001:db8:0:%x::1", i), nil); err != nil {
				t.Fatal(err)
			}
		}
		for i := 0; w.try("alice", fmt.Sprintf("198.51.%d.%d", i>>8, i&0xff), ErrInvalidCredentials) == ErrLogin; i++ {
		}
		if err := w.try("alice", home, nil); err != nil {
			t.Errorf("alice is locked out: %v", err)
		}
	})
}

// A stranger with many addresses gets 50 attempts at a user, and at most 100
// in any hour. The user gets in from where they have been before nevertheless.
func TestPerUser(t *testing.T) {
	inBubble(t, Options{}, func(w *world) {
		if err := w.try("alice", home, nil); err != nil {
			t.Fatal(err)
		}
		attempts := 0
		for minute := range 60 {
			for i := range 10 {
				if w.try("alice", fmt.Sprintf("198.51.%d.%d", minute, i), ErrInvalidCredentials) == ErrLogin {
					attempts++
				}
			}
			if minute == 4 && attempts != 50 {
				t.Fatalf("%d attempts at first, want 50", attempts)
			}
			time.Sleep(time.Minute)
		}
		if attempts < 90 || attempts > 100 {
			t.Errorf("%d attempts at alice in an hour, want 100 at most", attempts)
		}
		for w.try("alice", "203.0.113.1", ErrInvalidCredentials) == ErrLogin {
		}
		w.limited("alice", "203.0.113.99", 72)
		w.fail(1, "alice", home)
		if err := w.try("alice", home, nil); err != nil {
			t.Errorf("alice is locked out: %v", err)
		}
		w.fail(9, "alice", home)
		w.limited("alice", home, 60) // known or not
		w.fail(1, "bob", "203.0.113.99")
	})
}

// Successes cost nothing, and do not undo failures either.
func TestSuccessGivesBack(t *testing.T) {
	inBubble(t, Options{}, func(w *world) {
		for range 1000 {
			if err := w.try("alice", home, nil); err != nil {
				t.Fatal(err)
			}
		}
		w.fail(9, "alice", home)
		for range 100 {
			if err := w.try("alice", home, nil); err != nil {
				t.Fatal(err)
			}
		}
		w.fail(1, "alice", home)
		w.limited("alice", home, 60)
	})
}

// Attempts that are being checked count, so that many at once are no more
// than many in a row.
func TestAttemptsAtOnce(t *testing.T) {
	inBubble(t, Options{}, func(w *world) {
		proceed := make(chan struct{})
		var checks, refused int
		var mu sync.Mutex
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				_, err := Do(t.Context(), w.gate, Attempt{User: "alice"}, func(context.Context) (string, error) {
					mu.Lock()
					checks++
					mu.Unlock()
					<-proceed
					return "", ErrInvalidCredentials
				})
				if errors.Is(err, ErrRate) {
					mu.Lock()
					refused++
					mu.Unlock()
				}
			})
		}
		synctest.Wait()
		close(proceed)
		all.Wait()
		if checks != 10 || refused != 40 {
			t.Errorf("%d were checked and %d refused, want 10 and 40", checks, refused)
		}
	})
}

// crowd starts an attempt of one user from each of many addresses at once, with
// checks that succeed when proceed is closed, and returns how many are being checked
// then.
func (w *world) crowd(user string, addresses []string, proceed chan struct{}) (checking int) {
	w.t.Helper()
	var n atomic.Int32
	for _, address := range addresses {
		r := httptest.NewRequest(http.MethodPost, "/login", nil)
		r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(address), 1234).String()
		go Do(w.t.Context(), w.gate, Attempt{User: user, Request: r}, func(context.Context) (string, error) {
			n.Add(1)
			<-proceed
			return "claims", nil
		})
	}
	synctest.Wait()
	return int(n.Load())
}

func addresses(prefix string, n int) (all []string) {
	for i := range n {
		all = append(all, prefix+strconv.Itoa(i))
	}
	return all
}

// One account does not keep all others waiting, from however many addresses its
// logins come. Strangers do not keep it from its own addresses.
func TestUserAtOnce(t *testing.T) {
	inBubble(t, Options{}, func(w *world) {
		for _, address := range addresses("192.0.2.", maxAddresses) {
			if err := w.try("alice", address, nil); err != nil {
				t.Fatal(err)
			}
		}
		w.takeAudited()
		proceed := make(chan struct{})
		for round := range 3 {
			if n, want := w.crowd("alice", addresses("203.0.113.", 100), proceed), 10; round == 0 && n != want || round > 0 && n != 0 {
				t.Errorf("round %d: %d attempts from new addresses are being checked, want %d in all", round, n, want)
			}
			if n, want := w.crowd(" ALICE", addresses("192.0.2.", maxAddresses), proceed), 10; round == 0 && n != want || round > 0 && n != 0 {
				t.Errorf("round %d: %d attempts from known addresses are being checked, want %d in all", round, n, want)
			}
		}
		w.limited("alice", "192.0.2.1", 1)
		if n := w.crowd("bob", []string{home}, proceed); n != 1 {
			t.Error("bob has to wait for alice")
		}
		for _, text := range w.takeAudited() {
			if !strings.HasSuffix(text, "too many attempts by this user") {
				t.Error(text)
			}
		}
		close(proceed)
		synctest.Wait()
		if err := w.try("alice", "192.0.2.1", nil); err != nil {
			t.Errorf("alice, afterwards: %v", err)
		}
		if len(w.gate.atOnce.busy) > 0 {
			t.Errorf("still busy: %v", w.gate.atOnce.busy)
		}
	})
}

// A check that panics has used its tokens.
func TestPanic(t *testing.T) {
	inBubble(t, Options{PerUser: Rate{1, time.Hour}}, func(w *world) {
		func() {
			defer func() { recover() }()
			Do(t.Context(), w.gate, Attempt{User: "alice"}, func(context.Context) (string, error) { panic("oops") })
			t.Error("the panic was kept")
		}()
		w.limited("alice", home, 3600)
		if len(w.gate.atOnce.busy) > 0 {
			t.Errorf("still busy: %v", w.gate.atOnce.busy)
		}
	})
}

func TestPerSocket(t *testing.T) {
	inBubble(t, Options{}, func(w *world) {
		first, second := w.socket(), w.socket()
		try := func(s *socketcluster.Socket, user string) error {
			_, err := Do(t.Context(), w.gate, Attempt{User: user, Socket: s}, w.check(ErrInvalidCredentials))
			return err
		}
		for i := range 10 {
			if err := try(first, fmt.Sprint("user", i)); !errors.Is(err, ErrLogin) {
				t.Fatal(err)
			}
		}
		if err := try(first, "another"); !errors.Is(err, ErrRate) {
			t.Errorf("the eleventh attempt on a socket: %v", err)
		}
		if err := try(second, "another"); !errors.Is(err, ErrLogin) {
			t.Errorf("on another socket: %v", err)
		}
		got := w.takeAudited()
		want := []string{"loginFailed user9 socket: invalid credentials", "loginLimited another socket: too many attempts by this socket", "loginFailed another socket: invalid credentials"}
		if diff := cmp.Diff(want, got[max(0, len(got)-3):]); diff != "" {
			t.Error(diff)
		}
		// SetAuthToken emits the event of a success.
		if _, err := Do(t.Context(), w.gate, Attempt{User: "alice", Socket: second}, w.check(nil)); err != nil {
			t.Fatal(err)
		}
		w.wantAudited()
	})
}

// socket opens a socket, as far as its upgrade.
func (w *world) socket() *socketcluster.Socket {
	w.t.Helper()
	var socket *socketcluster.Socket
	off := socketcluster.On(w.srv, func(e socketcluster.HandshakeEvent) { socket = e.Socket })
	defer off()
	listener := memnet.Listen()
	web := &http.Server{Handler: w.srv}
	go web.Serve(listener)
	w.t.Cleanup(func() { web.Close() })
	conn, err := listener.Dial(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	_, err = io.WriteString(conn, "GET /socketcluster/ HTTP/1.1\r\nHost: server\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
	if socket == nil {
		w.t.Fatal("there is no socket")
	}
	return socket
}

// A flood of attempts is one event a minute.
func TestLimitedIsToldOnce(t *testing.T) {
	inBubble(t, Options{}, func(w *world) {
		w.fail(10, "alice", home)
		w.takeAudited()
		for range 100 {
			w.try("alice", home, ErrInvalidCredentials)
		}
		w.wantAudited("loginLimited alice 192.0.2.1: too many attempts by this user from this address")
		w.fail(10, "bob", home)
		w.takeAudited()
		w.limited("bob", home, 60)
		w.wantAudited("loginLimited bob 192.0.2.1: too many attempts by this user from this address")
		time.Sleep(time.Minute)
		w.fail(1, "alice", home)
		w.limited("alice", home, 60)
		w.wantAudited("loginFailed alice 192.0.2.1: invalid credentials",
			"loginLimited alice 192.0.2.1: too many attempts by this user from this address")
	})
}

// A client cannot evade a limit by headers; the header of a proxy has the
// client's address.
func TestForwardedAddress(t *testing.T) {
	inBubble(t, Options{}, func(w *world) {
		try := func(peer, forwarded string) error {
			r := httptest.NewRequest(http.MethodPost, "/login", nil)
			r.RemoteAddr = peer
			r.Header.Set("X-Forwarded-For", forwarded)
			_, err := Do(t.Context(), w.gate, Attempt{User: "alice", Request: r}, w.check(ErrInvalidCredentials))
			return err
		}
		for i := range 10 {
			if err := try("203.0.113.1:1", fmt.Sprintf("192.0.2.%d", i)); !errors.Is(err, ErrLogin) {
				t.Fatal(err)
			}
		}
		if err := try("203.0.113.1:1", "192.0.2.100"); !errors.Is(err, ErrRate) {
			t.Errorf("a header of the client's own: %v", err)
		}
		if err := try("10.0.0.1:1", "192.0.2.100"); !errors.Is(err, ErrLogin) {
			t.Errorf("through the proxy: %v", err)
		}
		if err := try("10.0.0.1:1", "192.0.2.100, 203.0.113.1"); !errors.Is(err, ErrRate) {
			t.Errorf("through the proxy, from where it was limited: %v", err)
		}
	})
}

// A name with a character that stands for others is nobody's, and counts as a
// failure. It is what Go makes of any lone surrogate, so that two names of
// JavaScript become one, and of bytes that are no text.
func TestNameThatStandsForOthers(t *testing.T) {
	inBubble(t, Options{PerUserAndAddress: Rate{3, time.Minute}}, func(w *world) {
		for _, text := range []string{`"a\ud800"`, `"a\udfff"`, `"a\ufffd"`} {
			var name string
			if err := json.Unmarshal([]byte(text), &name); err != nil {
				t.Fatal(err)
			}
			if err := w.try(name, home, nil); !errors.Is(err, ErrLogin) {
				t.Errorf("%s: %v", text, err)
			}
			w.wantAudited("loginFailed a\uFFFD 192.0.2.1: invalid credentials")
		}
		w.limited("a\uFFFD", home, 20)
		if err := w.try("a\xff", away, nil); !errors.Is(err, ErrLogin) {
			t.Error(err)
		}
		if w.checked > 0 {
			t.Errorf("%d names got to the check", w.checked)
		}
	})
}

func TestLongNameInEvent(t *testing.T) {
	inBubble(t, Options{}, func(w *world) {
		w.fail(1, strings.Repeat("é", 1000)+"x", home)
		w.wantAudited("loginFailed " + strings.Repeat("é", 64) + " 192.0.2.1: invalid credentials")
		w.fail(1, "x"+strings.Repeat("é", 1000), home)
		w.wantAudited("loginFailed x" + strings.Repeat("é", 63) + " 192.0.2.1: invalid credentials")
	})
}

func TestOptions(t *testing.T) {
	srv := new(socketcluster.Server)
	for name, o := range map[string]Options{
		"PerSocket":         {PerSocket: Rate{-1, time.Minute}},
		"PerAddress":        {PerAddress: Rate{5, 0}},
		"PerNetwork":        {PerNetwork: Rate{5, -time.Minute}},
		"PerUserAndAddress": {PerUserAndAddress: Rate{0, time.Minute}},
		"PerUser":           {PerUser: Rate{5, -time.Minute}},
	} {
		if _, err := New(srv, o); err == nil || !strings.Contains(err.Error(), "Options."+name+" ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, rate := range []Rate{{1, 60}, {1, 366 * 24 * time.Hour}} {
		if _, err := New(srv, Options{PerUser: rate}); err == nil {
			t.Errorf("%v is accepted", rate)
		}
	}
	if _, err := New(nil, Options{}); err == nil || !strings.Contains(err.Error(), "got nil") {
		t.Errorf("without a server: %v", err)
	}
}

func TestWriteError(t *testing.T) {
	for _, test := range []struct {
		err        error
		status     int
		body       string
		retryAfter string
	}{
		{ErrLogin, 401, `{"error":{"message":"Invalid user credentials","name":"LoginError"}}`, ""},
		{rateError(2500 * time.Millisecond), 429, `{"error":{"message":"Too many login attempts","name":"LoginRateError","retryAfter":3}}`, "3"},
		{fmt.Errorf("later: %w", rateError(time.Nanosecond)), 429, `{"error":{"message":"Too many login attempts","name":"LoginRateError","retryAfter":1}}`, "1"},
		{&wire.Error{Name: "ResourceLimitError", Message: "busy"}, 503, `{"error":{"message":"busy","name":"ResourceLimitError"}}`, ""},
		{&wire.Error{Name: "AccountLocked", Message: "no"}, 403, `{"error":{"message":"no","name":"AccountLocked"}}`, ""},
		{errBroken, 500, `{"error":{"message":"An internal error occurred","name":"InternalError"}}`, ""},
	} {
		w := httptest.NewRecorder()
		WriteError(w, test.err)
		if w.Code != test.status || w.Body.String() != test.body+"\n" || w.Header().Get("Retry-After") != test.retryAfter {
			t.Errorf("%v: %d %s, Retry-After %q", test.err, w.Code, w.Body, w.Header().Get("Retry-After"))
		}
		if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%v: headers %v", test.err, w.Header())
		}
	}
}

// BenchmarkDo is what a gate adds to a check, finding the address included.
func BenchmarkDo(b *testing.B) {
	srv, err := socketcluster.New(socketcluster.Config{Auth: auth.Options{Key: "a key of the test, with 32 bytes or more"}})
	if err != nil {
		b.Fatal(err)
	}
	defer srv.Close()
	gate, err := New(srv, Options{})
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/login", nil)
	b.Run("success", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Do(b.Context(), gate, Attempt{User: "alice", Request: r}, func(context.Context) (int, error) { return 1, nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("limited", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Do(b.Context(), gate, Attempt{User: "bob", Request: r}, func(context.Context) (int, error) { return 0, ErrInvalidCredentials })
		}
	})
	b.Run("ever new names", func(b *testing.B) {
		b.ReportAllocs()
		g := newGate(srv, Options{Rate{1 << 30, time.Hour}, Rate{1 << 30, time.Hour}, Rate{1 << 30, time.Hour}, Rate{10, time.Hour}, Rate{10, time.Hour}}, maxBuckets)
		var name [8]byte
		for i := 0; b.Loop(); i++ {
			for j := range name {
				name[j] = 'a' + byte(i>>(4*j)&15)
			}
			Do(b.Context(), g, Attempt{User: string(name[:]), Request: r}, func(context.Context) (int, error) { return 0, ErrInvalidCredentials })
		}
	})
}

// A missing gate or check is refused before anything is counted.
func TestDoNeedsAGateAndACheck(t *testing.T) {
	nothing := func(context.Context) (int, error) { return 0, nil }
	for _, c := range []struct {
		want  string
		gate  *Gate
		check func(context.Context) (int, error)
	}{
		{"login: Do needs a gate, but got nil; was the error of New checked?", nil, nothing},
		{"login: Do needs a check, but got nil", new(Gate), nil},
	} {
		func() {
			defer func() {
				if got := recover(); got != c.want {
					t.Errorf("panic %v, want %s", got, c.want)
				}
			}()
			Do(t.Context(), c.gate, Attempt{User: "alice"}, c.check)
		}()
	}
}

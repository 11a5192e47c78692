package socketcluster_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/httpauth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/wire"
)

// trail is what a server has put on record.
type trail struct {
	t      *testing.T
	mu     sync.Mutex
	events []string
}

func (w *world) audit() *trail {
	tr := &trail{t: w.t}
	socketcluster.On(w.srv, func(e socketcluster.AuditEvent) {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		if time.Since(e.Time) != 0 {
			w.t.Errorf("%s is of %v, not of now", e.Kind, e.Time)
		}
		text := string(e.Kind)
		if len(e.SID) == len(rand.Text()) {
			e.SID = "" // one that the engine has made up
		}
		for _, f := range []struct{ key, value string }{{"user", e.User}, {"jti", e.JTI}, {"sid", e.SID}, {"reason", e.Reason}} {
			if f.value != "" {
				text += fmt.Sprintf(" %s=%s", f.key, f.value)
			}
		}
		if e.Socket != nil {
			text += " socket"
		}
		tr.events = append(tr.events, text)
	})
	return tr
}

func (tr *trail) want(events ...string) {
	tr.t.Helper()
	synctest.Wait()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if diff := cmp.Diff(events, tr.events); diff != "" {
		tr.t.Error(diff)
	}
	tr.events = nil
}

func TestAuditOfALife(t *testing.T) {
	ctx := context.Background()
	cfg := socketcluster.Config{
		Revocations:  new(revoke.Memory),
		TokenRenewal: socketcluster.TokenRenewal{Every: 10 * time.Minute, ExpiresIn: time.Hour, Jitter: 1},
		Timeouts:     socketcluster.Timeouts{PingDisabled: true},
	}
	inBubble(t, cfg, func(w *world) {
		record := w.audit()
		p := w.client()
		record.want()
		s := w.only()
		claims := map[string]any{"sub": "alice", "username": "Alice", "sid": "s1"}
		if err := s.SetAuthToken(ctx, claims, auth.JWTID("t1")); err != nil {
			t.Fatal(err)
		}
		record.want("login user=alice jti=t1 sid=s1 socket")
		p.next()
		p.quiet(9 * time.Minute)
		p.next()
		jti, _ := s.AuthToken().Claim("jti")
		record.want(fmt.Sprintf("renewal user=alice jti=%v sid=s1 socket", jti))
		s.Deauthenticate(ctx)
		s.DeauthenticateSelf() // nobody is logged in any more
		record.want(fmt.Sprintf("logout user=alice jti=%v sid=s1 socket", jti))

		// A number for a sub, and none.
		if err := s.SetAuthToken(ctx, map[string]any{"username": "bob", "exp": time.Now().Add(time.Minute).Unix(), "sub": 5}); err != nil {
			t.Fatal(err)
		}
		jti, _ = s.AuthToken().Claim("jti")
		record.want(fmt.Sprintf("login user=5 jti=%v socket", jti))
		if err := s.SetAuthToken(ctx, map[string]any{"username": "bob", "sub": nil}); err != nil {
			t.Fatal(err)
		}
		jti, _ = s.AuthToken().Claim("jti")
		record.want(fmt.Sprintf("login user=bob jti=%v socket", jti))
	})
}

func TestAuditOfTokens(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Authenticate) error {
			if name, _ := a.AuthToken.Claim("username"); name == "mallory" {
				return &wire.Error{Name: "Banned", Message: "you are banned"}
			}
			return nil
		})
		record := w.audit()
		signed := w.sign(map[string]any{"username": "alice", "jti": "t1"})
		p, _ := w.connect(quote(signed))
		record.want("tokenAccepted user=alice jti=t1 socket")

		authenticate := func(token string) {
			p.send(fmt.Sprintf(`{"event":"#authenticate","data":%s,"cid":2}`, token))
			synctest.Wait()
		}
		authenticate(quote(w.sign(map[string]any{"username": "bob"})))
		record.want("tokenAccepted user=bob socket")
		// The user of a token that cannot be verified is not known.
		authenticate(quote(signed[:len(signed)-2]))
		record.want("tokenRejected reason=invalid signature socket", "logout user=bob reason=another token was not accepted socket")
		authenticate(quote(w.sign(map[string]any{"username": "mallory", "sid": "s1"})))
		record.want("tokenRejected user=mallory sid=s1 reason=you are banned socket")
		authenticate("5")
		record.want("tokenRejected reason=Invalid token format - Token must be a string socket")

		w.connect(quote("nonsense"))
		record.want("tokenRejected reason=jwt malformed socket")
	})
}

func TestAuditOfExpiry(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		p := w.login(map[string]any{"sub": "alice", "exp": time.Now().Add(10 * time.Second).Unix()})
		synctest.Wait() // for the event of the login
		record := w.audit()
		p.want(removeAuthToken)
		record.want("expiry user=alice socket")
	})
}

// The revocation itself comes first, then the logins that it ends.
func TestAuditOfRevocation(t *testing.T) {
	ctx := context.Background()
	inBubble(t, socketcluster.Config{Revocations: new(revoke.Memory)}, func(w *world) {
		w.login(map[string]any{"sub": "alice", "jti": "t1"})
		w.login(map[string]any{"sub": "bob", "jti": "t2"})
		late := w.sign(map[string]any{"sub": "alice", "jti": "t3"})
		synctest.Wait() // until the events of the logins have been emitted
		record := w.audit()
		if err := w.srv.Revoke(ctx, revoke.Revocation{Subject: "alice", Reason: "stolen"}); err != nil {
			t.Fatal(err)
		}
		record.want("revocation user=alice reason=stolen", "revocation user=alice jti=t1 reason=stolen socket")
		if err := w.srv.Revoke(ctx, revoke.Revocation{JTI: "t2"}); err != nil {
			t.Fatal(err)
		}
		record.want("revocation jti=t2", "revocation user=bob jti=t2 socket")
		if err := w.srv.Revoke(ctx, revoke.Revocation{Session: "s9"}); err != nil {
			t.Fatal(err)
		}
		record.want("revocation sid=s9")
		if err := w.srv.Revoke(ctx, revoke.Revocation{}); err == nil {
			t.Error("a revocation of nothing was accepted")
		}
		record.want()
		w.connect(quote(late))
		record.want("tokenRejected user=alice jti=t3 reason=jwt revoked socket")
	})
}

// The application's own events are emitted with the others of their socket, in
// order.
func TestAuditOfTheApplication(t *testing.T) {
	inBubble(t, socketcluster.Config{TrustedProxies: []string{"10.0.0.0/8"}}, func(w *world) {
		w.login(map[string]any{"sub": "alice"})
		s := w.only()
		var got []socketcluster.AuditEvent
		nested := false
		socketcluster.On(w.srv, func(e socketcluster.AuditEvent) {
			if !nested {
				nested = true
				w.srv.Audit(socketcluster.AuditEvent{Kind: "nested", Socket: s})
			}
			got = append(got, e)
		})
		moment := time.Now().Add(-time.Hour)
		elsewhere := netip.MustParseAddr("192.0.2.1")
		w.srv.Audit(socketcluster.AuditEvent{Kind: "passwordChanged", Socket: s, Time: moment, Address: elsewhere, User: "alice"})
		w.srv.Audit(socketcluster.AuditEvent{Kind: "imported"})
		want := []socketcluster.AuditEvent{
			{Kind: "passwordChanged", Socket: s, Time: moment, Address: elsewhere, User: "alice"},
			{Kind: "nested", Socket: s, Time: time.Now()},
			{Kind: "imported", Time: time.Now()},
		}
		if len(got) != len(want) {
			t.Fatalf("got %v", got)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("event %d is %v, want %v", i, got[i], want[i])
			}
		}
	})
}

// While the handler of one event runs, those that follow wait for it.
func TestAuditKeepsOrder(t *testing.T) {
	ctx := context.Background()
	inBubble(t, socketcluster.Config{}, func(w *world) {
		p := w.client()
		s := w.only()
		proceed := make(chan struct{})
		record := w.audit()
		socketcluster.On(w.srv, func(socketcluster.AuditEvent) { <-proceed })
		go s.SetAuthToken(ctx, map[string]any{"sub": "alice"})
		synctest.Wait()
		go s.Deauthenticate(ctx)
		synctest.Wait()
		go s.Disconnect(1000, "")
		p.next()
		p.want(removeAuthToken)
		record.want("login user=alice socket")
		close(proceed)
		record.want("logout user=alice socket")
		p.wantClose(1000, "")
		record.want() // to go is not to log out
	})
}

func TestAuditLog(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	write := socketcluster.AuditLog(log)
	moment := time.Date(2000, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, test := range []struct {
		e    socketcluster.AuditEvent
		want string
	}{
		{socketcluster.AuditEvent{Kind: socketcluster.AuditLogin, Time: moment, User: "alice", JTI: "t", SID: "s", Address: netip.MustParseAddr("192.0.2.1")},
			"level=INFO msg=audit kind=login at=2000-01-02T03:04:05.000Z address=192.0.2.1 user=alice jti=t sid=s\n"},
		{socketcluster.AuditEvent{Kind: socketcluster.AuditLoginFailed, Time: moment, User: "x\nlevel=INFO", Reason: "invalid credentials"},
			"level=WARN msg=audit kind=loginFailed at=2000-01-02T03:04:05.000Z user=\"x\\nlevel=INFO\" reason=\"invalid credentials\"\n"},
		{socketcluster.AuditEvent{Kind: socketcluster.AuditLoginLimited, Time: moment}, "level=WARN msg=audit kind=loginLimited at=2000-01-02T03:04:05.000Z\n"},
		{socketcluster.AuditEvent{Kind: socketcluster.AuditTokenRejected, Time: moment}, "level=WARN msg=audit kind=tokenRejected at=2000-01-02T03:04:05.000Z\n"},
		{socketcluster.AuditEvent{Kind: socketcluster.AuditRevocation, Time: moment}, "level=INFO msg=audit kind=revocation at=2000-01-02T03:04:05.000Z\n"},
	} {
		out.Reset()
		write(test.e)
		if got := out.String(); got != test.want {
			t.Errorf("got  %swant %s", got, test.want)
		}
	}
}

// Audit events never contain a token, and name their socket.
func TestAuditLogOfASocket(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		var out bytes.Buffer
		socketcluster.On(w.srv, socketcluster.AuditLog(slog.New(slog.NewJSONHandler(&out, nil))))
		signed := w.sign(map[string]any{"sub": "alice"})
		p, _ := w.connect(quote(signed))
		s := w.only()
		p.send(`{"event":"#authenticate","data":` + quote(signed+"x") + `,"cid":2}`)
		synctest.Wait()
		text := out.String()
		if strings.Count(text, `"socket":"`+s.ID()+`"`) != 3 {
			t.Errorf("want 3 records of the socket:\n%s", text)
		}
		for part := range strings.SplitSeq(signed, ".") {
			if strings.Contains(text, part) {
				t.Errorf("a part of the token is on record:\n%s", text)
			}
		}
	})
}

// Errors of an engine that are not made for clients stay out of the record.
func TestAuditMasksEngineErrors(t *testing.T) {
	engine := failingEngine{verify: func(string) (*auth.Token, error) { return nil, errors.New("secret of the key server") }}
	inBubble(t, socketcluster.Config{AuthEngine: engine}, func(w *world) {
		record := w.audit()
		w.connect(quote("x.y.z"))
		record.want("tokenRejected reason=The token could not be verified socket")
	})
}

// BenchmarkAudit is what an event costs that nobody hears, and one that
// somebody does.
func BenchmarkAudit(b *testing.B) {
	for _, heard := range []bool{false, true} {
		b.Run(fmt.Sprintf("heard=%t", heard), func(b *testing.B) {
			srv, err := socketcluster.New(socketcluster.Config{Auth: auth.Options{Key: testKey}})
			if err != nil {
				b.Fatal(err)
			}
			defer srv.Close()
			if heard {
				socketcluster.On(srv, func(socketcluster.AuditEvent) {})
			}
			b.ReportAllocs()
			for b.Loop() {
				srv.Audit(socketcluster.AuditEvent{Kind: socketcluster.AuditLogin, User: "alice"})
			}
		})
	}
}

// Tokens that come with a request are on the record too: those that ordinary
// routes refuse, and cookies that a foreign page has sent.
func TestAuditOfRequests(t *testing.T) {
	cfg := socketcluster.Config{TokenSources: []httpauth.Source{httpauth.Cookie("token")}, Revocations: &revoke.Memory{}}
	inBubble(t, cfg, func(w *world) {
		const foreignRecord = `tokenRejected reason=The cookie or session of the request is not accepted from a page of another origin. Add "http://elsewhere" to Origins to trust it`
		good := w.sign(map[string]any{"sub": "alice", "jti": "t1"})
		record := w.audit()
		_, resp := w.upgrade(with("Cookie", "token="+good, "Origin", "http://elsewhere"))
		if resp.StatusCode != http.StatusForbidden {
			t.Fatalf("status %s", resp.Status)
		}
		record.want(foreignRecord)

		page := w.srv.Authenticator().Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		ask := func(want int, headers ...string) {
			t.Helper()
			r := httptest.NewRequest("POST", "http://server/me", nil)
			with(headers...)(r)
			answer := httptest.NewRecorder()
			page.ServeHTTP(answer, r)
			if answer.Code != want {
				t.Errorf("status %d, want %d", answer.Code, want)
			}
		}
		ask(200, "Cookie", "token="+good)
		ask(401)
		record.want()
		ask(401, "Cookie", "token=nonsense")
		record.want("tokenRejected reason=jwt malformed")
		ask(403, "Cookie", "token="+good, "Origin", "http://elsewhere")
		record.want(foreignRecord)
		if err := w.srv.Revoke(context.Background(), revoke.Revocation{JTI: "t1"}); err != nil {
			t.Fatal(err)
		}
		record.want("revocation jti=t1")
		ask(401, "Cookie", "token="+good)
		record.want("tokenRejected user=alice jti=t1 reason=jwt revoked")
	})
}

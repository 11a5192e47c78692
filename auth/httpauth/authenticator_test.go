package httpauth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/httpauth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/wire"
)

const key = "test-key-0123456789-0123456789-01"

func newJWT(t *testing.T) *auth.JWT {
	t.Helper()
	j, err := auth.NewJWT(auth.Options{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// sign makes a token of these claims, and its text.
func sign(t *testing.T, claims map[string]any) (*auth.Token, string) {
	t.Helper()
	token, err := newJWT(t).Sign(t.Context(), claims)
	if err != nil {
		t.Fatal(err)
	}
	return token, token.Signed()
}

// greet answers with the name of the principal.
var greet = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	u, ok := httpauth.Claims[user](r.Context())
	if !ok {
		u.Username = "nobody"
	}
	fmt.Fprint(w, u.Username)
})

type answer struct {
	status    int
	text      string
	challenge string
}

// ask sends a request to one of the handlers of an Authenticator.
func ask(t *testing.T, h http.Handler, r *http.Request) answer {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	text := w.Body.String()
	if w.Code != http.StatusOK {
		var body struct {
			Error struct{ Name, Message string }
		}
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("the answer is %v %s", w.Header(), text)
		}
		text = body.Error.Name + ": " + body.Error.Message
	}
	return answer{w.Code, text, w.Header().Get("WWW-Authenticate")}
}

// crossOrigin is what a request of a foreign page gets.
const crossOrigin = "CrossOriginError: The cookie or session of the request is not accepted from a page of another origin"

const (
	evilOrigin = crossOrigin + `. Add "https://evil.example" to Origins to trust it`
	nameless   = crossOrigin + ": the request has Sec-Fetch-Site, but no Origin header"
)

func TestAuthenticator(t *testing.T) {
	_, alice := sign(t, map[string]any{"username": "alice"})
	_, bob := sign(t, map[string]any{"username": "bob"})
	_, expired := sign(t, map[string]any{"username": "alice", "exp": 1})
	_, banned := sign(t, map[string]any{"username": "eve", "sub": "eve"})
	var revoked revoke.Memory
	if err := revoked.Add(t.Context(), revoke.Revocation{Subject: "eve"}); err != nil {
		t.Fatal(err)
	}
	trusting, err := httpauth.ParseOrigins("https://app.example")
	if err != nil {
		t.Fatal(err)
	}
	a := &httpauth.Authenticator{
		Engine:      newJWT(t),
		Sources:     []httpauth.Source{httpauth.Bearer(), httpauth.Cookie("token")},
		Revocations: &revoked,
		Origins:     trusting,
	}
	const invalid = `Bearer error="invalid_token", error_description=`
	nobody := answer{200, "nobody", ""}
	for name, row := range map[string]struct {
		r        *http.Request
		require  answer
		optional answer
	}{
		"nothing":        {request("GET"), answer{401, "AuthError: The request has no token", "Bearer"}, nobody},
		"basic":          {request("GET", "Authorization", "Basic QTpC"), answer{401, "AuthError: The request has no token", "Bearer"}, nobody},
		"bearer":         {request("GET", "Authorization", "Bearer "+alice), answer{200, "alice", ""}, answer{200, "alice", ""}},
		"cookie":         {request("GET", "Cookie", "token="+alice), answer{200, "alice", ""}, answer{200, "alice", ""}},
		"the first wins": {request("GET", "Cookie", "token="+alice, "Authorization", "Bearer "+bob), answer{200, "bob", ""}, answer{200, "bob", ""}},
		"the first fails": {request("GET", "Cookie", "token="+alice, "Authorization", "Bearer x"),
			answer{401, "AuthTokenInvalidError: jwt malformed", invalid + `"jwt malformed"`}, nobody},
		"expired": {request("GET", "Authorization", "Bearer "+expired),
			answer{401, "AuthTokenExpiredError: jwt expired", invalid + `"jwt expired"`}, nobody},
		"revoked": {request("GET", "Authorization", "Bearer "+banned),
			answer{401, "AuthTokenInvalidError: jwt revoked", invalid + `"jwt revoked"`}, nobody},
		"two cookies": {request("GET", "Cookie", "token="+alice+"; token="+bob),
			answer{401, "AuthTokenError: The request has several cookies of the name that the token has",
				invalid + `"The request has several cookies of the name that the token has"`}, nobody},

		"post":                  {request("POST", "Cookie", "token="+alice), answer{200, "alice", ""}, answer{200, "alice", ""}},
		"post of the same site": {request("POST", "Cookie", "token="+alice, "Origin", "http://server"), answer{200, "alice", ""}, answer{200, "alice", ""}},
		"post of another": {request("POST", "Cookie", "token="+alice, "Origin", "https://evil.example"),
			answer{403, evilOrigin, ""}, answer{403, evilOrigin, ""}},
		"post of another subdomain": {request("POST", "Cookie", "token="+alice, "Origin", "http://x.server", "Sec-Fetch-Site", "same-site"),
			answer{403, crossOrigin + `. Add "http://x.server" to Origins to trust it`, ""}, answer{403, crossOrigin + `. Add "http://x.server" to Origins to trust it`, ""}},
		"post of another with a bad cookie": {request("POST", "Cookie", "token=x", "Sec-Fetch-Site", "cross-site"),
			answer{403, nameless, ""}, answer{403, nameless, ""}},
		"post of a trusted one":   {request("POST", "Cookie", "token="+alice, "Origin", "https://app.example"), answer{200, "alice", ""}, answer{200, "alice", ""}},
		"get of another":          {request("GET", "Cookie", "token="+alice, "Origin", "https://evil.example"), answer{200, "alice", ""}, answer{200, "alice", ""}},
		"post of another, bearer": {request("POST", "Authorization", "Bearer "+alice, "Origin", "https://evil.example"), answer{200, "alice", ""}, answer{200, "alice", ""}},
		"post of another without a token": {request("POST", "Origin", "https://evil.example"),
			answer{401, "AuthError: The request has no token", "Bearer"}, nobody},
	} {
		t.Run(name, func(t *testing.T) {
			if got := ask(t, a.Require(greet), row.r); got != row.require {
				t.Errorf("Require\ngot  %v\nwant %v", got, row.require)
			}
			if got := ask(t, a.Optional(greet), row.r); got != row.optional {
				t.Errorf("Optional\ngot  %v\nwant %v", got, row.optional)
			}
		})
	}
}

// A route without a token, such as a login, is kept from foreign pages too.
func TestProtect(t *testing.T) {
	a := &httpauth.Authenticator{Origins: origins(t, "https://app.example", "*:*")}
	h := a.Protect(greet)
	const refused = "CrossOriginError: The request is not accepted from a page of another origin"
	for _, row := range []struct {
		r    *http.Request
		want answer
	}{
		{request("POST"), answer{200, "nobody", ""}},
		{request("POST", "Origin", "http://server"), answer{200, "nobody", ""}},
		{request("POST", "Origin", "https://app.example"), answer{200, "nobody", ""}},
		{request("POST", "Origin", "https://evil.example"), answer{403, refused + `. Add "https://evil.example" to Origins to trust it`, ""}},
		{request("DELETE", "Sec-Fetch-Site", "cross-site"), answer{403, refused + ": the request has Sec-Fetch-Site, but no Origin header", ""}},
		{request("GET", "Origin", "https://evil.example"), answer{200, "nobody", ""}},
	} {
		if got := ask(t, h, row.r); got != row.want {
			t.Errorf("%s %v: got %v, want %v", row.r.Method, row.r.Header, got, row.want)
		}
	}
}

// The zero value but for its engine takes bearer tokens alone.
func TestAuthenticatorDefaults(t *testing.T) {
	_, alice := sign(t, map[string]any{"username": "alice"})
	a := &httpauth.Authenticator{Engine: newJWT(t)}
	if got := ask(t, a.Require(greet), request("POST", "Authorization", "Bearer "+alice)); got.status != 200 {
		t.Errorf("bearer: %v", got)
	}
	if got := ask(t, a.Require(greet), request("GET", "Cookie", "token="+alice)); got.status != 401 {
		t.Errorf("cookie: %v", got)
	}
}

func TestCrossOriginDefault(t *testing.T) {
	_, alice := sign(t, map[string]any{"username": "alice"})
	a := &httpauth.Authenticator{Engine: newJWT(t), Sources: []httpauth.Source{httpauth.Cookie("token")}}
	for origin, want := range map[string]int{"http://server": 200, "http://server:81": 403, "https://other": 403, "null": 403} {
		if got := ask(t, a.Require(greet), request("POST", "Cookie", "token="+alice, "Origin", origin)); got.status != want {
			t.Errorf("%s: %v, want %d", origin, got, want)
		}
	}
}

// A principal that is there already is taken, and held to its exp, to
// revocations and to the origin of the request.
func TestAuthenticatorTakesPrincipal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var revoked revoke.Memory
		if err := revoked.Add(t.Context(), revoke.Revocation{Session: "7"}); err != nil {
			t.Fatal(err)
		}
		_, bob := sign(t, map[string]any{"username": "bob"})
		a := &httpauth.Authenticator{Engine: newJWT(t), Revocations: &revoked}
		now := time.Now().Unix()
		for name, row := range map[string]struct {
			claims string
			r      *http.Request
			want   answer
		}{
			"good":    {`{"username":"alice"}`, request("GET", "Authorization", "Bearer "+bob), answer{200, "alice", ""}},
			"live":    {fmt.Sprintf(`{"username":"alice","exp":%d}`, now+1), request("GET"), answer{200, "alice", ""}},
			"expired": {fmt.Sprintf(`{"username":"alice","exp":%d}`, now), request("GET"), answer{401, "AuthTokenExpiredError: The principal has expired", `Bearer error="invalid_token", error_description="The principal has expired"`}},
			"revoked": {`{"username":"alice","sid":"7"}`, request("GET"), answer{401, "AuthTokenInvalidError: jwt revoked", `Bearer error="invalid_token", error_description="jwt revoked"`}},
			"foreign": {`{"username":"alice"}`, request("POST", "Origin", "https://evil.example"), answer{403, evilOrigin, ""}},
		} {
			r := row.r.WithContext(httpauth.NewContext(row.r.Context(), token(t, "", row.claims)))
			if got := ask(t, a.Require(greet), r); got != row.want {
				t.Errorf("%s\ngot  %v\nwant %v", name, got, row.want)
			}
			want := row.want
			if want.status == 401 {
				want = answer{200, "nobody", ""}
			}
			if got := ask(t, a.Optional(greet), r); got != want {
				t.Errorf("%s, optional\ngot  %v\nwant %v", name, got, want)
			}
		}
	})
}

// Whether a principal is ambient survives one Authenticator behind another.
func TestNestedAuthenticators(t *testing.T) {
	_, alice := sign(t, map[string]any{"username": "alice"})
	a := &httpauth.Authenticator{Engine: newJWT(t), Sources: []httpauth.Source{httpauth.Bearer(), httpauth.Cookie("token")}}
	var ambience httpauth.Ambience
	h := a.Optional(a.Require(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { ambience = httpauth.AmbienceOf(r.Context()) })))
	if got := ask(t, h, request("POST", "Authorization", "Bearer "+alice, "Origin", "https://other.example")); got.status != 200 || ambience != httpauth.NotAmbient {
		t.Errorf("bearer: %v, ambience %d", got, ambience)
	}
	if got := ask(t, h, request("POST", "Cookie", "token="+alice)); got.status != 200 || ambience != httpauth.AmbientByHost {
		t.Errorf("cookie: %v, ambience %d", got, ambience)
	}
}

// engineFunc is a function that verifies.
type engineFunc func(ctx context.Context, signed string) (*auth.Token, error)

func (engineFunc) Sign(context.Context, any, ...auth.SignOption) (*auth.Token, error) {
	return nil, errors.New("not asked for")
}

func (f engineFunc) Verify(ctx context.Context, signed string, _ ...auth.VerifyOption) (*auth.Token, error) {
	return f(ctx, signed)
}

// Errors of an engine, or of a source of the application, that are not for
// clients stay in the server.
func TestFailures(t *testing.T) {
	internal := answer{500, "InternalError: An internal error occurred", ""}
	fails := func(err error) auth.Engine {
		return engineFunc(func(context.Context, string) (*auth.Token, error) { return nil, err })
	}
	secret := errors.New("no route to db.internal")
	for name, row := range map[string]struct {
		a      httpauth.Authenticator
		want   answer
		logged string
	}{
		"the engine fails":          {httpauth.Authenticator{Engine: fails(secret)}, internal, "db.internal"},
		"the engine says nothing":   {httpauth.Authenticator{Engine: fails(nil)}, internal, "neither a token nor an error"},
		"a source fails":            {httpauth.Authenticator{Engine: newJWT(t), Sources: []httpauth.Source{httpauth.Custom(func(*http.Request) (string, error) { return "", secret }, httpauth.NotAmbient)}}, internal, "db.internal"},
		"the keys cannot be had":    {httpauth.Authenticator{Engine: fails(auth.ErrKeysUnavailable)}, answer{503, "AuthTokenError: The key of the token is not available", ""}, ""},
		"a wrapped error":           {httpauth.Authenticator{Engine: fails(fmt.Errorf("verify: %w", auth.ErrKeysUnavailable))}, answer{503, "AuthTokenError: The key of the token is not available", ""}, ""},
		"text for no header":        {httpauth.Authenticator{Engine: fails(&wire.Error{Name: "E", Message: "a\"b\\c\r\nd\u00e9"})}, answer{401, "E: a\"b\\c\r\ndé", `Bearer error="invalid_token", error_description="a b c  d "`}, ""},
		"text too long for headers": {httpauth.Authenticator{Engine: fails(&wire.Error{Name: "E", Message: strings.Repeat("x", 999)})}, answer{401, "E: " + strings.Repeat("x", 999), `Bearer error="invalid_token", error_description="` + strings.Repeat("x", 256) + `"`}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			row.a.Logger = slog.New(slog.NewTextHandler(&log, nil))
			r := request("GET", "Authorization", "Bearer secret-token")
			if got := ask(t, row.a.Require(greet), r); got != row.want {
				t.Errorf("got  %v\nwant %v", got, row.want)
			}
			if !strings.Contains(log.String(), row.logged) || (row.logged == "") != (log.Len() == 0) {
				t.Errorf("logged %q, want %q", &log, row.logged)
			}
			if strings.Contains(log.String(), "secret-token") {
				t.Errorf("the log holds the token: %s", &log)
			}
			log.Reset()
			if got := ask(t, row.a.Optional(greet), r); got.text != "nobody" {
				t.Errorf("optional: %v", got)
			}
			if (row.logged == "") != (log.Len() == 0) {
				t.Errorf("optional: logged %q, want %q", &log, row.logged)
			}
		})
	}
}

// A mistake that makes every request fail is reported when the route is made.
func TestMistakes(t *testing.T) {
	for name, row := range map[string]struct {
		a    httpauth.Authenticator
		next http.Handler
		want string
	}{
		"no handler":    {httpauth.Authenticator{Engine: newJWT(t)}, nil, "handler of an Authenticator is nil"},
		"no engine":     {httpauth.Authenticator{}, greet, "Authenticator.Engine is not set"},
		"a zero source": {httpauth.Authenticator{Engine: newJWT(t), Sources: []httpauth.Source{httpauth.Bearer(), {}}}, greet, "Sources[1] cannot be used: httpauth: a zero Source"},
	} {
		for call, make := range map[string]func(http.Handler) http.Handler{"Require": row.a.Require, "Optional": row.a.Optional} {
			t.Run(name+" "+call, func(t *testing.T) {
				defer func() {
					if text, _ := recover().(string); !strings.Contains(text, row.want) {
						t.Errorf("panic %q, want %q", text, row.want)
					}
				}()
				make(row.next)
			})
		}
	}
}

// A client that goes away is no failure of the server.
func TestClientGone(t *testing.T) {
	var log bytes.Buffer
	engine := engineFunc(func(ctx context.Context, _ string) (*auth.Token, error) { return nil, ctx.Err() })
	a := &httpauth.Authenticator{Engine: engine, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ask(t, a.Require(greet), request("GET", "Authorization", "Bearer x").WithContext(ctx))
	if log.Len() > 0 {
		t.Errorf("logged %s", &log)
	}
}

package httpauth_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster/auth/httpauth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// request makes a request with these headers, in pairs of name and value.
func request(method string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, "http://server/", nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

const refused = "refused" // what a row wants in place of a token

func TestSources(t *testing.T) {
	cookie, bearer, sub := httpauth.Cookie("__Host-token"), httpauth.Bearer(), httpauth.Subprotocol("token.")
	for name, row := range map[string]struct {
		source  httpauth.Source
		headers []string
		want    string
	}{
		"cookie: none":                {cookie, nil, ""},
		"cookie: others":              {cookie, []string{"Cookie", "a=1; __host-token=2; x__Host-token=3"}, ""},
		"cookie: empty":               {cookie, []string{"Cookie", "__Host-token="}, ""},
		"cookie: one":                 {cookie, []string{"Cookie", "a=1; __Host-token=x.y.z; b=2"}, "x.y.z"},
		"cookie: two":                 {cookie, []string{"Cookie", "__Host-token=x; __Host-token=y"}, refused},
		"cookie: the same twice":      {cookie, []string{"Cookie", "__Host-token=x; __Host-token=x"}, refused},
		"cookie: two headers":         {cookie, []string{"Cookie", "__Host-token=x", "Cookie", "__Host-token=y"}, refused},
		"cookie: an empty one first":  {cookie, []string{"Cookie", "__Host-token=; __Host-token=y"}, refused},
		"bearer: none":                {bearer, nil, ""},
		"bearer: basic":               {bearer, []string{"Authorization", "Basic QTpC"}, ""},
		"bearer: a longer scheme":     {bearer, []string{"Authorization", "BearerX x"}, ""},
		"bearer: empty header":        {bearer, []string{"Authorization", ""}, ""},
		"bearer: token":               {bearer, []string{"Authorization", "Bearer x.y-_~+/z=="}, "x.y-_~+/z=="},
		"bearer: another case":        {bearer, []string{"Authorization", "bEARER x"}, "x"},
		"bearer: more spaces":         {bearer, []string{"Authorization", "Bearer   x "}, "x"},
		"bearer: no token":            {bearer, []string{"Authorization", "Bearer"}, refused},
		"bearer: only spaces":         {bearer, []string{"Authorization", "Bearer  "}, refused},
		"bearer: only padding":        {bearer, []string{"Authorization", "Bearer =="}, refused},
		"bearer: two words":           {bearer, []string{"Authorization", "Bearer x y"}, refused},
		"bearer: comma":               {bearer, []string{"Authorization", "Bearer x,Bearer y"}, refused},
		"bearer: padding inside":      {bearer, []string{"Authorization", "Bearer x=y"}, refused},
		"bearer: two headers":         {bearer, []string{"Authorization", "Bearer x", "Authorization", "Bearer x"}, refused},
		"bearer: beside basic":        {bearer, []string{"Authorization", "Basic QTpC", "Authorization", "Bearer x"}, refused},
		"subprotocol: none":           {sub, nil, ""},
		"subprotocol: others":         {sub, []string{"Sec-WebSocket-Protocol", "socketcluster, Token.x, xtoken.y"}, ""},
		"subprotocol: token":          {sub, []string{"Sec-WebSocket-Protocol", "socketcluster, token.x.y.z"}, "x.y.z"},
		"subprotocol: second header":  {sub, []string{"Sec-WebSocket-Protocol", "a", "Sec-WebSocket-Protocol", "token.x"}, "x"},
		"subprotocol: empty":          {sub, []string{"Sec-WebSocket-Protocol", "token."}, refused},
		"subprotocol: no token":       {sub, []string{"Sec-WebSocket-Protocol", "token.x y"}, refused},
		"subprotocol: two":            {sub, []string{"Sec-WebSocket-Protocol", "token.x, token.y"}, refused},
		"subprotocol: in two headers": {sub, []string{"Sec-WebSocket-Protocol", "token.x", "Sec-WebSocket-Protocol", "token.x"}, refused},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := row.source.Token(request("GET", row.headers...))
			if row.want == refused {
				e, ok := errors.AsType[*wire.Error](err)
				if !ok || got != "" {
					t.Fatalf("got %q, %v, want a *wire.Error", got, err)
				}
				if bad, _ := e.Field("isBadToken"); bad != true || e.Name != wire.NameAuthToken {
					t.Errorf("got %v with %v, want a bad token", e, e.Fields)
				}
				return
			}
			if got != row.want || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, row.want)
			}
		})
	}
}

// A token in the address is none: addresses are logged.
func TestSourcesLeaveTheURLAlone(t *testing.T) {
	r := httptest.NewRequest("GET", "http://server/?token=x&access_token=x&authToken=x&__Host-token=x#token=x", nil)
	for _, s := range []httpauth.Source{httpauth.Cookie("token"), httpauth.Bearer(), httpauth.Subprotocol("token.")} {
		if got, err := s.Token(r); got != "" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	}
}

func TestCustom(t *testing.T) {
	failure := errors.New("no connection")
	s := httpauth.Custom(func(r *http.Request) (string, error) {
		if r.Header.Get("X-Ticket") == "" {
			return "", failure
		}
		return r.Header.Get("X-Ticket"), nil
	}, httpauth.AmbientByHost)
	if got, err := s.Token(request("GET", "X-Ticket", "x")); got != "x" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := s.Token(request("GET")); err != failure {
		t.Errorf("got %v, want the error of the function as it is", err)
	}
}

func TestSourceProperties(t *testing.T) {
	ok := func(*http.Request) (string, error) { return "", nil }
	for name, row := range map[string]struct {
		source       httpauth.Source
		ambience     httpauth.Ambience
		owns, leaves string
	}{
		"cookie":         {httpauth.Cookie("a"), httpauth.AmbientByHost, "", "a"},
		"bearer":         {httpauth.Bearer(), httpauth.NotAmbient, "", "Bearer"},
		"subprotocol":    {httpauth.Subprotocol("token."), httpauth.NotAmbient, "token.", "token"},
		"with a token":   {httpauth.Subprotocol("token."), httpauth.NotAmbient, "token.x", "Token.x"},
		"custom":         {httpauth.Custom(ok, httpauth.NotAmbient), httpauth.NotAmbient, "", ""},
		"ambient custom": {httpauth.Custom(ok, httpauth.AmbientByHost), httpauth.AmbientByHost, "", ""},
		"by address":     {httpauth.Custom(ok, httpauth.AmbientByAddress), httpauth.AmbientByAddress, "", ""},
	} {
		if err := row.source.Err(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := row.source.Ambience(); got != row.ambience {
			t.Errorf("%s: ambience %d", name, got)
		}
		if row.owns != "" && !row.source.Owns(row.owns) {
			t.Errorf("%s does not own %q", name, row.owns)
		}
		if row.source.Owns(row.leaves) {
			t.Errorf("%s owns %q", name, row.leaves)
		}
	}
}

func TestUnusableSources(t *testing.T) {
	for name, s := range map[string]httpauth.Source{
		"the zero value":    {},
		"no cookie name":    httpauth.Cookie(""),
		"odd cookie name":   httpauth.Cookie("a b"),
		"cookie with value": httpauth.Cookie("a=b"),
		"no prefix":         httpauth.Subprotocol(""),
		"odd prefix":        httpauth.Subprotocol("token,"),
		"no function":       httpauth.Custom(nil, httpauth.NotAmbient),
		"no such ambience":  httpauth.Custom(func(*http.Request) (string, error) { return "x", nil }, 3),
	} {
		if s.Err() == nil {
			t.Errorf("%s can be used", name)
		}
		if got, err := s.Token(request("GET", "Authorization", "Bearer x", "Cookie", "a=b")); got != "" || err == nil {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

// Whatever is in the headers, a source answers a token that was there as a
// whole, or a *wire.Error that holds none of it.
func FuzzSources(f *testing.F) {
	f.Add("Bearer x.y.z", "", "t=x.y.z; a=b", "", "socketcluster, token.x.y.z", "")
	f.Add("bearer  x=", "Basic QTpC", "t=\"x\"", "t=y", "token.x", "token.x")
	f.Add("Bearer", "", ";;t;=;t==;", "", ",, ,token.", "\t")
	f.Add("\x00Bearer \xff", "", "t=\x00\x7f\xff", "", "token.\xff", "")
	f.Fuzz(func(t *testing.T, auth1, auth2, cookie1, cookie2, sub1, sub2 string) {
		r := &http.Request{Method: "GET", Header: http.Header{}}
		for _, h := range []struct{ name, value string }{
			{"Authorization", auth1}, {"Authorization", auth2}, {"Cookie", cookie1}, {"Cookie", cookie2},
			{"Sec-Websocket-Protocol", sub1}, {"Sec-Websocket-Protocol", sub2},
		} {
			if h.value != "" {
				r.Header.Add(h.name, h.value)
			}
		}
		for name, s := range map[string]httpauth.Source{
			"Authorization": httpauth.Bearer(), "Cookie": httpauth.Cookie("t"), "Sec-Websocket-Protocol": httpauth.Subprotocol("token."),
		} {
			token, err := s.Token(r)
			if err != nil {
				if token != "" || !errors.As(err, new(*wire.Error)) {
					t.Errorf("%s: %q with %v", name, token, err)
				}
				continue
			}
			if token != "" && !strings.Contains(strings.Join(r.Header[name], "\n"), token) {
				t.Errorf("%s %q holds no %q", name, r.Header[name], token)
			}
			if strings.ContainsAny(token, "\r\n") {
				t.Errorf("%s: a token with a line break: %q", name, token)
			}
		}
	})
}

package httpauth_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/httpauth"
)

func token(t rapid.TB, signed, claims string) *auth.Token {
	t.Helper()
	token, err := auth.NewToken(signed, []byte(claims))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestSetCookie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().Unix()
		for name, row := range map[string]struct{ claims, age string }{
			"an hour":         {fmt.Sprintf(`{"exp":%d}`, now+3600), "; Max-Age=3600"},
			"one second":      {fmt.Sprintf(`{"exp":%d}`, now+1), "; Max-Age=1"},
			"no end":          {`{}`, ""},
			"the far future":  {`{"exp":1e300}`, "; Max-Age=34560000"},
			"beyond 400 days": {fmt.Sprintf(`{"exp":%d}`, now+401*86400), "; Max-Age=34560000"},
		} {
			w := httptest.NewRecorder()
			if err := httpauth.SetCookie(w, "__Host-token", token(t, "x.y.z", row.claims)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			want := []string{"__Host-token=x.y.z; Path=/" + row.age + "; HttpOnly; Secure; SameSite=Lax"}
			if diff := cmp.Diff(want, w.Header()["Set-Cookie"]); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	})
}

func TestSetCookieRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().Unix()
		for name, row := range map[string]struct{ name, signed, claims string }{
			"no name":          {"", "x", `{}`},
			"a name with =":    {"a=b", "x", `{}`},
			"a name with a ;":  {"a;b", "x", `{}`},
			"no text":          {"a", "", `{}`},
			"text with a ;":    {"a", "x; Domain=example.com", `{}`},
			"text with breaks": {"a", "x\r\nSet-Cookie: b=c", `{}`},
			"text with spaces": {"a", "x y", `{}`},
			"too large":        {"a", strings.Repeat("x", 4096), `{}`},
			"expired":          {"a", "x", fmt.Sprintf(`{"exp":%d}`, now)},
			"long expired":     {"a", "x", `{"exp":-1e300}`},
		} {
			w := httptest.NewRecorder()
			if err := httpauth.SetCookie(w, row.name, token(t, row.signed, row.claims)); err == nil {
				t.Errorf("%s: no error", name)
			} else if row.signed != "" && row.signed != "x" && strings.Contains(err.Error(), row.signed) {
				t.Errorf("%s: the error holds the token: %v", name, err)
			}
			if len(w.Header()) > 0 {
				t.Errorf("%s: %v", name, w.Header())
			}
		}
	})
}

func TestClearCookie(t *testing.T) {
	w := httptest.NewRecorder()
	if err := httpauth.ClearCookie(w, "__Host-token"); err != nil {
		t.Fatal(err)
	}
	want := []string{"__Host-token=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"}
	if diff := cmp.Diff(want, w.Header()["Set-Cookie"]); diff != "" {
		t.Error(diff)
	}
	w = httptest.NewRecorder()
	if err := httpauth.ClearCookie(w, "a b"); err == nil || len(w.Header()) > 0 {
		t.Errorf("%v with %v", err, w.Header())
	}
}

// Cookie reads back unchanged what SetCookie has set.
func TestCookieRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[!#$%&'*+.^_|~A-Za-z0-9-]{1,20}`).Draw(t, "name")
		signed := rapid.StringMatching(`[!#-+./:<-\[\]-~A-Za-z0-9-]{1,60}`).Draw(t, "signed")
		w := httptest.NewRecorder()
		if err := httpauth.SetCookie(w, name, token(t, signed, `{}`)); err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("GET", "/", nil)
		cookies := (&http.Response{Header: w.Header()}).Cookies()
		if len(cookies) != 1 {
			t.Fatalf("%q was set as %v", signed, cookies)
		}
		r.AddCookie(&http.Cookie{Name: cookies[0].Name, Value: cookies[0].Value})
		if got, err := httpauth.Cookie(name).Token(r); got != signed || err != nil {
			t.Errorf("set %q, read %q, %v", signed, got, err)
		}
	})
}

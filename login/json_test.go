package login

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// body is what a login sends.
type body struct{ Username, Password string }

func readJSON(contentType, text string) (in body, ok bool, w *httptest.ResponseRecorder) {
	r := httptest.NewRequest(http.MethodPost, "/login", strings.NewReader(text))
	r.Header["Content-Type"] = []string{contentType}
	w = httptest.NewRecorder()
	ok = ReadJSON(w, r, &in)
	return in, ok, w
}

func TestReadJSON(t *testing.T) {
	const good, kind = `{"username":"alice","password":"secret"}`, "application/json"
	for _, c := range []struct {
		name, kind, text string
		status           int
		message          string
	}{
		{"a login", kind, good, http.StatusOK, ""},
		{"with a charset", "Application/JSON; charset=utf-8", good, http.StatusOK, ""},
		{"as long as may be", kind, good + strings.Repeat(" ", MaxBody-len(good)), http.StatusOK, ""},
		{"too long", kind, good + strings.Repeat(" ", MaxBody-len(good)+1), http.StatusRequestEntityTooLarge, "The body is too large"},
		{"what a form of another site can send", "text/plain", good, http.StatusUnsupportedMediaType, "The Content-Type must be application/json"},
		{"a parameter that looks right", "text/plain; application/json", good, http.StatusUnsupportedMediaType, "The Content-Type must be application/json"},
		{"a broken type", kind + "; charset", good, http.StatusUnsupportedMediaType, "The Content-Type must be application/json"},
		{"no type", "", good, http.StatusUnsupportedMediaType, "The Content-Type must be application/json"},
		{"no body", kind, "", http.StatusBadRequest, "The body must be a JSON object with the fields of a login"},
		{"no strings", kind, `{"username":{"$ne":null}}`, http.StatusBadRequest, "The body must be a JSON object with the fields of a login"},
		{"more than JSON", kind, good + "x", http.StatusBadRequest, "The body must be a JSON object with the fields of a login"},
	} {
		in, ok, w := readJSON(c.kind, c.text)
		if want := (body{"alice", "secret"}); ok != (c.message == "") || ok && in != want {
			t.Errorf("%s: %v, %+v", c.name, ok, in)
		}
		if ok {
			if w.Body.Len() > 0 || len(w.Header()) > 0 {
				t.Errorf("%s: was answered", c.name)
			}
			continue
		}
		want := `{"error":{"message":"` + c.message + `","name":"InvalidArgumentsError"}}` + "\n"
		if w.Code != c.status || w.Body.String() != want || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s, want %d %s", c.name, w.Code, w.Body, c.status, want)
		}
	}
}

func FuzzReadJSON(f *testing.F) {
	const kind = "application/json"
	f.Add(kind, `{"username":"alice","password":"secret"}`)
	f.Add(kind+`;charset="utf-8"`, `{"username":null}`)
	f.Add("text/plain", `{}`)
	f.Add(kind, strings.Repeat("[", 5000))
	f.Add(kind, "{\"username\":\"\xff\\ud800\"}")
	f.Fuzz(func(t *testing.T, contentType, text string) {
		_, ok, w := readJSON(contentType, text)
		if !ok {
			if w.Code < 400 || w.Code > 499 || !json.Valid(w.Body.Bytes()) {
				t.Fatalf("answered with %d %s", w.Code, w.Body)
			}
			return
		}
		if len(text) > MaxBody || !json.Valid([]byte(text)) || !strings.Contains(strings.ToLower(contentType), kind) {
			t.Fatalf("accepted %q %q", contentType, text)
		}
	})
}

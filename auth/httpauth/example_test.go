package httpauth_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/httpauth"
)

func newEngine() auth.Engine {
	engine, err := auth.NewJWT(auth.Options{Key: "0123456789abcdef0123456789abcdef"})
	if err != nil {
		log.Fatal(err)
	}
	return engine
}

// A login that leaves the token in a cookie, which no script can read, and a route that
// reads it. The same cookie authenticates sockets, with Config.TokenSources.
func ExampleSetCookie() {
	const cookie = "__Host-token"
	engine := newEngine()
	guard := httpauth.Authenticator{Engine: engine, Sources: []httpauth.Source{httpauth.Cookie(cookie)}}
	routes := http.NewServeMux()
	routes.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		token, err := engine.Sign(r.Context(), map[string]string{"username": "alice"}) // once the password is found to be right
		if err == nil {
			err = httpauth.SetCookie(w, cookie, token)
		}
		if err != nil {
			http.Error(w, "no login", http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, "welcome")
	})
	// A page of another origin must neither log anybody in nor out.
	site := guard.Protect(routes)
	// Revoke the session as well (Server.Revoke): the token stays good otherwise.
	routes.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		if err := httpauth.ClearCookie(w, cookie); err != nil {
			http.Error(w, "no logout", http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, "goodbye")
	})
	routes.Handle("GET /me", guard.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		me, _ := httpauth.Claims[struct{ Username string }](r.Context())
		fmt.Fprint(w, me.Username)
	})))

	ask := func(method, path string, cookies ...*http.Cookie) *http.Response {
		r := httptest.NewRequest(method, path, nil)
		for _, c := range cookies {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		site.ServeHTTP(w, r)
		fmt.Printf("%s %s: %d %s\n", method, path, w.Code, w.Body)
		return w.Result()
	}
	login := ask("POST", "/login").Cookies()[0]
	ask("GET", "/me", login)
	logout := ask("POST", "/logout").Cookies()[0]
	fmt.Println(login.HttpOnly, login.Secure, logout.MaxAge < 0)
	// Output:
	// POST /login: 200 welcome
	// GET /me: 200 alice
	// POST /logout: 200 goodbye
	// true true true
}

// Routes of an API that want a bearer token.
func ExampleAuthenticator_Require() {
	engine := newEngine()
	guard := httpauth.Authenticator{Engine: engine}
	api := guard.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		me, _ := httpauth.Claims[struct{ Username string }](r.Context())
		fmt.Fprintln(w, "hello", me.Username)
	}))

	w := httptest.NewRecorder()
	api.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	fmt.Print(w.Code, " ", w.Header().Get("WWW-Authenticate"), "\n", w.Body)

	r := httptest.NewRequest("GET", "/", nil)
	token, err := engine.Sign(r.Context(), map[string]string{"username": "alice"})
	if err != nil {
		log.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token.Signed())
	w = httptest.NewRecorder()
	api.ServeHTTP(w, r)
	fmt.Print(w.Code, " ", w.Body)
	// Output:
	// 401 Bearer
	// {"error":{"message":"The request has no token","name":"AuthError"}}
	// 200 hello alice
}

// A page for everybody that knows who has logged in.
func ExampleAuthenticator_Optional() {
	guard := httpauth.Authenticator{Engine: newEngine()}
	page := guard.Optional(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if httpauth.FromContext(r.Context()) == nil {
			fmt.Fprintln(w, "hello stranger")
		}
	}))
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer nonsense")
	w := httptest.NewRecorder()
	page.ServeHTTP(w, r)
	fmt.Print(w.Body)
	// Output: hello stranger
}

// An application with its own sessions supplies the identity.
func ExampleNewContext() {
	session := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			// The application looks the session of the request up, and then:
			principal, err := auth.NewToken("", []byte(`{"username":"alice","sid":"17"}`))
			if err != nil {
				http.Error(w, "no session", http.StatusInternalServerError)
				return
			}
			next.ServeHTTP(w, r.WithContext(httpauth.NewContext(r.Context(), principal)))
		})
	}
	// A *socketcluster.Server in its place authenticates the socket as alice.
	h := session(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sid, _ := httpauth.FromContext(r.Context()).Claim("sid")
		fmt.Fprintln(w, "session", sid)
	}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	fmt.Print(w.Body)
	// Output: session 17
}

// A page of another origin cannot set headers of a WebSocket, but subprotocols:
// new WebSocket(url, ["socketcluster", "token." + token]).
func ExampleSubprotocol() {
	source := httpauth.Subprotocol("token.")
	r := httptest.NewRequest("GET", "/socketcluster/", nil)
	r.Header.Set("Sec-WebSocket-Protocol", "socketcluster, token.abc.def.ghi")
	fmt.Println(source.Token(r))
	fmt.Println(source.Owns("socketcluster"), source.Owns("token.abc.def.ghi"))
	// Output:
	// abc.def.ghi <nil>
	// false true
}

// A proxy that has authenticated the client passes a token on.
func ExampleCustom() {
	source := httpauth.Custom(func(r *http.Request) (string, error) {
		return r.Header.Get("X-Forwarded-Access-Token"), nil
	}, httpauth.AmbientByHost) // because the proxy uses a cookie
	r := httptest.NewRequest("GET", "/socketcluster/", nil)
	r.Header.Set("X-Forwarded-Access-Token", "abc.def.ghi")
	fmt.Println(source.Token(r))
	fmt.Println(source.Ambience() == httpauth.AmbientByHost)
	// Output:
	// abc.def.ghi <nil>
	// true
}

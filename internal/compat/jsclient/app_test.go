package jsclient

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/compat/nginx"
	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
)

// appFolder is that of the complete example.
const appFolder = "../../examples/app"

// app is the complete example behind nginx with TLS, as its nginx.conf
// describes, with stock clients.
type app struct {
	t       *testing.T
	site    *nginx.Site
	node    *node
	serve   func(addr string) *proc.Process
	process *proc.Process
	port    string
}

// startApp adds alice, who may enter room/staff, and bob, and starts the example.
func startApp(t *testing.T, flags ...string) *app {
	t.Helper()
	config, err := os.ReadFile("../../../examples/app/nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	locations, err := os.ReadFile("../nginx/socketcluster.conf")
	if err != nil {
		t.Fatal(err)
	}
	_, documented, _ := strings.Cut(string(locations), "\n") // without the comment
	if indented := "    " + strings.ReplaceAll(strings.TrimSpace(documented), "\n", "\n    "); !strings.Contains(string(config), indented) {
		t.Errorf("the locations of the example are not those of OPERATIONS:\n%s", config)
	}
	database := filepath.Join(t.TempDir(), "app.db")
	binary := proc.GoBuild(t, appFolder)
	for _, args := range [][]string{{"alice", "staff"}, {"bob"}} {
		add := proc.Binary(binary)
		add.Args = append(append(add.Args, "adduser", "-db", database), args...)
		add.Stdin = strings.NewReader("secret\n")
		if out, err := add.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", add, err, out)
		}
	}
	a := &app{t: t, site: nginx.NewSite(t)}
	a.node = startNode(t, "NODE_EXTRA_CA_CERTS="+a.site.Cert)
	_, a.port, _ = net.SplitHostPort(a.site.HTTPS)
	a.serve = func(addr string) *proc.Process {
		cmd := proc.Binary(binary, "AUTH_KEY=a key of these tests, 32 bytes or more")
		cmd.Args = append(append(cmd.Args, "serve", "-addr", addr, "-db", database, "-origins", "https://"+a.site.HTTPS, "-proxies", "127.0.0.1"), flags...)
		return proc.Start(t, cmd)
	}
	a.process = a.serve("127.0.0.1:0")
	replaced := strings.NewReplacer(
		"listen 80;", "listen "+a.site.HTTP+";",
		"listen 443 ssl;", "listen "+a.site.HTTPS+" ssl;",
		"/etc/letsencrypt/live/app.example.com/fullchain.pem", a.site.Cert,
		"/etc/letsencrypt/live/app.example.com/privkey.pem", a.site.Key,
		"http://127.0.0.1:8000", "http://"+a.process.Addr(),
	).Replace(string(config))
	a.site.Start(t, replaced)
	return a
}

// restart ends the process with SIGTERM and starts another one at its address.
func (a *app) restart() {
	a.t.Helper()
	if err := a.process.Stop(); err != nil {
		a.t.Fatal(err)
	}
	a.process = a.serve(a.process.Addr())
}

// client makes a stock client, as a page of an origin, or as no page if it is empty.
func (a *app) client(origin string, stored any) *client {
	a.t.Helper()
	a.node.mu.Lock()
	a.node.clients++
	c := &client{a.node, a.node.clients}
	a.node.mu.Unlock()
	o := options{
		"port": a.port, "secure": true,
		"autoReconnect": true, "autoReconnectOptions": map[string]int{"initialDelay": 100, "randomness": 100, "maxDelay": 500},
	}
	if origin != "" {
		o["wsOptions"] = map[string]string{"origin": origin}
	}
	a.node.do(a.t, "create", c.id, o, stored)
	return c
}

// login connects a client and logs it in.
func (a *app) login(username string) *client {
	a.t.Helper()
	c := a.client("https://"+a.site.HTTPS, nil)
	c.connect(a.t)
	c.do(a.t, "invoke", "login", map[string]string{"username": username, "password": "secret"})
	c.wait(a.t, "authenticate")
	return c
}

// browser makes requests as from an address of its own, and follows no redirects.
func (a *app) browser() *http.Client {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.0.2")}}
	transport := &http.Transport{DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{RootCAs: a.site.Roots}}
	a.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func TestAppRooms(t *testing.T) {
	t.Parallel()
	a := startApp(t)
	alice, bob := a.login("alice"), a.login("bob")
	guest := a.client("", nil)
	guest.connect(t)
	for _, c := range []*client{alice, bob, guest} {
		c.do(t, "subscribe", "lobby")
	}
	alice.do(t, "subscribe", "room/staff")
	for name, c := range map[string]*client{"bob": bob, "a guest": guest} {
		if _, err := c.try(t, "subscribe", "room/staff"); err == nil {
			t.Errorf("%s is in room/staff", name)
		}
	}
	next := guest.start(t, "nextPublication", "lobby")
	bob.do(t, "publish", "lobby", "hi")
	got, err := next()
	if err != nil || string(got) != `{"from":"bob","text":"hi"}` {
		t.Errorf("published %s, %v", got, err)
	}
	if _, err := guest.try(t, "publish", "lobby", "hi"); err == nil {
		t.Error("a guest has published")
	}

	evil := a.client("https://evil.example", nil)
	evil.do(t, "dial")
	evil.wait(t, "connectAbort")
}

func TestAppLoginOverHTTP(t *testing.T) {
	t.Parallel()
	a := startApp(t)
	browser := a.browser()
	resp, err := browser.Get("http://" + a.site.HTTP + "/?a=b")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if to := resp.Header.Get("Location"); to != "https://127.0.0.1/?a=b" {
		t.Errorf("http leads to %q, %s", to, resp.Status)
	}
	login := func(origin, password string) (status int, answer struct{ Token string }) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "POST", "https://"+a.site.HTTPS+"/login", strings.NewReader(`{"username":"alice","password":"`+password+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Origin", origin)
		r.Header.Set("X-Forwarded-For", "203.0.113.9") // of the client's own invention
		resp, err := browser.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || json.Unmarshal(text, &answer) != nil {
			t.Fatalf("%s: %s, %v", resp.Status, text, err)
		}
		return resp.StatusCode, answer
	}
	own := "https://" + a.site.HTTPS
	if status, _ := login("https://evil.example", "secret"); status != http.StatusForbidden {
		t.Errorf("from another page: %d", status)
	}
	if status, _ := login(own, "wrong"); status != http.StatusUnauthorized {
		t.Errorf("with a wrong password: %d", status)
	}
	code, answer := login(own, "secret")
	if code != http.StatusOK {
		t.Fatal(code)
	}
	c := a.client(own, answer.Token)
	if st := c.connect(t); !st.IsAuthenticated {
		t.Errorf("%+v", st)
	}
	c.do(t, "subscribe", "room/staff")

	// The log is JSON, knows who has failed from where, and holds no password.
	failed := false
	for line := range strings.Lines(a.process.Logs()) {
		var record map[string]any
		if strings.HasPrefix(line, "listening on ") {
			continue
		}
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		failed = failed || record["kind"] == "loginFailed" && strings.Contains(line, `"127.0.0.2"`)
		if strings.Contains(line, "secret") || strings.Contains(line, answer.Token) {
			t.Errorf("the log contains a secret: %s", line)
		}
	}
	if !failed {
		t.Errorf("no failed login from 127.0.0.2 in the log:\n%s", a.process.Logs())
	}
}

// A client that stays connected stays logged in, in its rooms and without a
// reconnect, beyond the end of its first token.
func TestAppRenewal(t *testing.T) {
	t.Parallel()
	a := startApp(t, "-token-life", "4s")
	alice := a.login("alice")
	alice.do(t, "subscribe", "room/staff")
	first := alice.state(t)
	end := time.Unix(int64(first.AuthToken["exp"].(float64)), 0)
	for time.Now().Before(end.Add(time.Second)) {
		alice.wait(t, "authenticate")
	}
	next := alice.start(t, "nextPublication", "room/staff")
	alice.do(t, "publish", "room/staff", "still here")
	if got, err := next(); err != nil || string(got) != `{"from":"alice","text":"still here"}` {
		t.Errorf("published %s, %v", got, err)
	}
	now := alice.state(t)
	for _, name := range []string{"sub", "sid", "auth_time"} {
		if now.AuthToken[name] != first.AuthToken[name] {
			t.Errorf("%s was %v and is %v", name, first.AuthToken[name], now.AuthToken[name])
		}
	}
	diary := alice.diary(t)
	for _, event := range []string{"disconnect", "deauthenticate", "kickOut", "error"} {
		if strings.Contains(" "+diary+" ", " "+event+" ") {
			t.Errorf("the client has seen %s: %s", event, diary)
		}
	}
}

// A restart costs clients a reconnect: they are still logged in and in their
// rooms. A logout everywhere ends all logins of the user, and a restart brings
// none of them back.
func TestAppRestartAndLogoutEverywhere(t *testing.T) {
	t.Parallel()
	a := startApp(t)
	laptop, phone, bob := a.login("alice"), a.login("alice"), a.login("bob")
	laptop.do(t, "subscribe", "room/staff")
	bob.do(t, "subscribe", "lobby")
	all := []*client{laptop, phone, bob}
	restart := func() {
		t.Helper()
		for _, c := range all {
			c.do(t, "forget", "connect")
			c.do(t, "forget", "disconnect")
		}
		a.restart()
		for _, c := range all {
			if got := decode[closed](t, c.wait(t, "disconnect")); got.Code != 1001 {
				t.Errorf("disconnected with %+v", got)
			}
		}
	}
	laptop.do(t, "forget", "subscribe")
	restart()
	for _, c := range all {
		if st := decode[status](t, c.wait(t, "connect")); !st.IsAuthenticated {
			t.Errorf("after the restart: %+v", st)
		}
	}
	laptop.wait(t, "subscribe")
	next := laptop.start(t, "nextPublication", "room/staff")
	phone.do(t, "publish", "room/staff", "back")
	if got, err := next(); err != nil || string(got) != `{"from":"alice","text":"back"}` {
		t.Errorf("published %s, %v", got, err)
	}

	token := *phone.state(t).SignedAuthToken
	laptop.do(t, "invoke", "logoutEverywhere")
	for _, c := range []*client{laptop, phone} {
		c.wait(t, "deauthenticate")
	}
	laptop.wait(t, "kickOut")
	restart()
	for i, c := range all {
		if st := decode[status](t, c.wait(t, "connect")); st.IsAuthenticated != (c == bob) {
			t.Errorf("client %d after the logout: %+v", i, st)
		}
	}
	stolen := a.client("https://"+a.site.HTTPS, token)
	if st := stolen.connect(t); st.IsAuthenticated || st.AuthError == nil {
		t.Errorf("with the old token: %+v", st)
	}
	laptop.do(t, "invoke", "login", map[string]string{"username": "alice", "password": "secret"})
	laptop.do(t, "subscribe", "room/staff")
}

package main

import (
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster/examples/internal/logintest"
	"github.com/socketcluster-go/socketcluster/examples/internal/site"
	"github.com/socketcluster-go/socketcluster/login"
	"github.com/socketcluster-go/socketcluster/wire"
)

const secret = "correct horse"

// bad are credentials that all fail in the same words.
var bad = map[string]credentials{
	"wrong password":          {"alice", "wrong"},
	"no password":             {"alice", ""},
	"unknown user":            {"carol", secret},
	"nobody":                  {},
	"other accent":            {"alicé", secret},
	"SQL that is always true": {"' OR '1'='1", "' OR '1'='1"},
	"SQL that ends early":     {"alice' -- ", "x"},
}

func TestLogin(t *testing.T) {
	db := startMariaDB(t)
	users, err := openUsers(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	if err := users.add(t.Context(), "alice", secret, []string{"news", "user/alice"}); err != nil {
		t.Fatal(err)
	}
	server := serve(t, users)
	t.Run("over a socket", func(t *testing.T) { testSocket(t, server) })
	t.Run("over HTTP", func(t *testing.T) { testHTTP(t, server) })
	t.Run("too many attempts", func(t *testing.T) { testLimit(t, serve(t, users)) })
	t.Run("what is stored", func(t *testing.T) { testStored(t, db, users) })
	t.Run("without the database", func(t *testing.T) { testOutage(t, server, db) })
}

func serve(t *testing.T, users *users) *site.Server {
	t.Helper()
	_, handler, err := newHandler("a key of the test, with 32 bytes or more", users)
	if err != nil {
		t.Fatal(err)
	}
	return site.Serve(t, handler)
}

func testSocket(t *testing.T, server *site.Server) {
	client := server.Connect("")
	if _, err := client.Call("whoami", nil); !errors.Is(err, wire.ErrAuth) {
		t.Errorf("whoami before the login: %v", err)
	}
	for name, c := range bad {
		_, err := client.Call("login", c)
		if err == nil || err.Error() != "LoginError: Invalid user credentials" {
			t.Errorf("%s: %v", name, err)
		}
	}
	// After all these, the next login on the same socket works.
	for range 2 {
		if _, err := client.Call("login", credentials{" Alice", secret}); err != nil { // one user with alice
			t.Fatal(err)
		}
		var data struct{ Token string }
		client.Event("#setAuthToken", &data)
		checkToken(t, server, data.Token)
	}
}

func testHTTP(t *testing.T, server *site.Server) {
	for name, c := range bad {
		if status, body := post(t, server, c); status != http.StatusUnauthorized || body != `{"error":{"message":"Invalid user credentials","name":"LoginError"}}`+"\n" {
			t.Errorf("%s: %d: %s", name, status, body)
		}
	}
	status, body := post(t, server, credentials{"alice", secret})
	var answer struct{ Token string }
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusOK {
		t.Fatalf("%d: %s", status, body)
	}
	checkToken(t, server, answer.Token)
	logintest.RefusesRequests(t, server)
	if status, body := post(t, server, "no credentials"); status != http.StatusBadRequest {
		t.Errorf("a body of another form: %d: %s", status, body)
	}
}

// checkToken presents a token in a handshake, and looks at its claims.
func checkToken(t *testing.T, server *site.Server, token string) {
	t.Helper()
	client := server.Connect(token)
	answer, err := client.Call("whoami", nil)
	if want := `{"username":"alice","channels":["news","user/alice"]}`; err != nil || string(answer) != want {
		t.Errorf("whoami = %s, %v; want %s", answer, err, want)
	}
}

func testLimit(t *testing.T, server *site.Server) {
	client := server.Connect("")
	for range 4 {
		if _, err := client.Call("login", credentials{"bob", "wrong"}); !errors.Is(err, login.ErrLogin) {
			t.Fatal(err)
		}
	}
	for {
		status, body := post(t, server, credentials{"bob", "wrong"})
		if status == http.StatusUnauthorized {
			continue
		}
		if status != http.StatusTooManyRequests || !strings.Contains(body, `"name":"LoginRateError","retryAfter":`) {
			t.Errorf("over HTTP: %d: %s", status, body)
		}
		break
	}
	if _, err := client.Call("login", credentials{"bob", "wrong"}); !errors.Is(err, login.ErrRate) {
		t.Errorf("over a socket: %v", err)
	}
}

func testStored(t *testing.T, db *sql.DB, users *users) {
	var hash string
	if err := db.QueryRowContext(t.Context(), `SELECT password FROM users`).Scan(&hash); err != nil {
		t.Fatal(err) // the table is still there
	}
	if !strings.HasPrefix(hash, "$argon2id$") || strings.Contains(hash, secret) {
		t.Errorf("a password is stored as %s", hash)
	}
	if err := users.add(t.Context(), "alice", "mine now", nil); err == nil {
		t.Error("a name was given twice")
	}
}

// An error of the database is hidden from the client, and never logs anybody
// in.
func testOutage(t *testing.T, server *site.Server, db *sql.DB) {
	client := server.Connect("")
	db.Close()
	if _, err := client.Call("login", credentials{"alice", secret}); !errors.Is(err, &wire.Error{Name: "InternalError"}) || strings.Contains(err.Error(), "sql") {
		t.Errorf("over a socket: %v", err)
	}
	if status, body := post(t, server, credentials{"alice", secret}); status != http.StatusInternalServerError || strings.Contains(body, "sql") {
		t.Errorf("over HTTP: %d: %s", status, body)
	}
}

func post(t *testing.T, server *site.Server, v any) (int, string) {
	t.Helper()
	body, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(server.URL+"/login", "application/json", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

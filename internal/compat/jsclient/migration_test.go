package jsclient

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net"
	"net/http"
	"reflect"
	"slices"
	"testing"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/password"
	"github.com/socketcluster-go/socketcluster/broker/upstream"
	goclient "github.com/socketcluster-go/socketcluster/client"
)

// What docs/PORTING.md shows about a migration worker by worker.

// sample: behind a worker
func behindWorker(worker, authKey string) (socketcluster.Config, error) {
	engine, err := auth.NewJWT(auth.Options{Key: authKey}) // HS256, as at the workers
	if err != nil {
		return socketcluster.Config{}, err
	}
	nodes, err := upstream.New(upstream.Options{
		URL: worker, // such as ws://10.0.0.5:8000
		Login: func(ctx context.Context, c *goclient.Client) error {
			token, err := engine.Sign(ctx, map[string]any{"username": "go-node", "channels": []string{"news"}})
			if err != nil {
				return err
			}
			return c.Authenticate(ctx, token.Signed())
		},
		OnGap: func(g upstream.Gap) {}, // have clients load again what may be missing
	})
	return socketcluster.Config{AuthEngine: engine, Broker: nodes}, err
}

// end

// row is a row of the table of users, which has a second column for hashes.
type row struct{ hash, argon2id string }

// sample: replace a hash
func checkPassword(ctx context.Context, h *password.Hasher, r *row, typed string) (bool, error) {
	if ok, err := h.Verify(ctx, r.argon2id, typed); r.argon2id != "" || err != nil {
		return ok, err
	}
	// Verify has taken as long for the empty hash of a user who has not been here yet.
	sum := sha256.Sum256([]byte(typed)) // as the workers do
	if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(r.hash)) != 1 {
		return false, nil
	}
	replaced, err := h.Hash(ctx, typed)
	if err != nil {
		return false, err
	}
	r.argon2id = replaced // UPDATE users SET argon2id = …; the workers use the old column
	return true, nil
}

// end

// A token passes from the worker to the node and back: the client presents what it has
// stored to whichever answers.
func TestMigrationKeepsLogins(t *testing.T) {
	w := startWorker(t)
	cfg, err := behindWorker("ws://"+w.Addr(), key)
	if err != nil {
		t.Fatal(err)
	}
	a := startServer(t, cfg, serveGuide)
	n := startNode(t)
	const name = "app.authToken" // the same for all ports and hosts
	at := func(id, port int, stored any) status {
		n.do(t, "create", id, options{"port": port, "authTokenName": name}, stored)
		return decode[status](t, n.do(t, "connect", id))
	}
	token := func(id int) string {
		n.do(t, "wait", id, "authenticate")
		return decode[struct {
			Stored string `json:"stored"`
		}](t, n.do(t, "state", id)).Stored
	}
	at(1, portOf(t, w.Addr()), nil)
	n.do(t, "invoke", 1, "login", map[string]string{"username": "alice"})
	first := token(1)
	if st := at(2, a.port, first); !st.IsAuthenticated {
		t.Errorf("the node does not know the login of the worker: %v", st.AuthError)
	}
	n.do(t, "subscribe", 2, "news")
	n.do(t, "invoke", 2, "login", bob)
	second := token(2)
	if second == first || second == "" {
		t.Fatalf("the token of the second login is %q", second)
	}
	if st := at(3, portOf(t, w.Addr()), second); !st.IsAuthenticated {
		t.Errorf("the worker does not know the login of the node: %v", st.AuthError)
	}
	n.do(t, "collect", 2, "news")
	n.do(t, "publish", 3, "news", "back")
	collected(t, n, 2, 1)
}

// A server of this module takes the place of the last worker, and the worker comes back.
// The client of the node notices neither.
func TestMigrationOfTheLastWorker(t *testing.T) {
	w := launchWorker(t, 0)
	addr := w.Addr()
	cfg, err := behindWorker("ws://"+addr, key)
	if err != nil {
		t.Fatal(err)
	}
	a := startServer(t, cfg, nil)
	n := startNode(t)
	join(t, n, 1, a.port, "news")
	n.do(t, "publish", 1, "news", "worker")

	kill(t, w)
	instead, err := socketcluster.New(withKey(key))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: instead}
	go web.Serve(listener)
	n.do(t, "publish", 1, "news", "server")
	collected(t, n, 1, 2) // the answer may come before the delivery, which ends with the server
	instead.Close()
	web.Close()

	w = launchWorker(t, portOf(t, addr))
	defer kill(t, w)
	n.do(t, "publish", 1, "news", "worker again")
	if got := collected(t, n, 1, 3); !reflect.DeepEqual(got, []any{"worker", "server", "worker again"}) {
		t.Errorf("the client has got %v", got)
	}
	want := []string{"connecting", "connect", "subscribeRequest", "subscribeStateChange", "subscribe"}
	if events := decode[[]string](t, n.do(t, "diary", 1)); !slices.Equal(events, want) {
		t.Errorf("the client has seen %q, want %q", events, want)
	}
}

func TestMigrationReplacesHashes(t *testing.T) {
	var h password.Hasher
	sum := sha256.Sum256([]byte("secret"))
	r := row{hash: hex.EncodeToString(sum[:])}
	try := func(typed string, want, replaced bool) {
		t.Helper()
		ok, err := checkPassword(t.Context(), &h, &r, typed)
		if err != nil || ok != want || (r.argon2id != "") != replaced {
			t.Errorf("%q: %v, %v; the new hash is %q", typed, ok, err, r.argon2id)
		}
	}
	try("wrong", false, false)
	try("secret", true, true)
	r.hash = "" // the column has gone
	try("wrong", false, true)
	try("secret", true, true)
}

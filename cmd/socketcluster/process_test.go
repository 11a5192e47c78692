package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// commandVar is the variable of the environment with the arguments of a process that
// is the command.
const commandVar = "SOCKETCLUSTER_TEST_COMMAND"

// TestMain makes a process of a test the command.
func TestMain(m *testing.M) {
	if text := os.Getenv(commandVar); text != "" {
		os.Args = append([]string{"socketcluster"}, strings.Split(text, "\n")...)
		main()
	}
	os.Exit(m.Run())
}

// processes are nodes of a cluster, each the command in a process of its own.
type processes struct {
	t      *testing.T
	dir    string
	tokens *auth.JWT
	log    *os.File
	nodes  map[string]*process
}

type process struct {
	cmd               *exec.Cmd
	addr, ops, routes string // of the site, for operators, and for the other nodes
}

// processKey signs tokens.
const processKey = "a key for the tests of processes, long enough"

// newProcesses prepares processes with the text of a config file. TLS protects the
// connections between them.
func newProcesses(t *testing.T, config string, names ...string) *processes {
	t.Helper()
	dir := t.TempDir()
	p := &processes{t: t, dir: dir, nodes: make(map[string]*process)}
	var routes []string
	for _, name := range names {
		node := &process{addr: sctest.FreeAddr(t), ops: sctest.FreeAddr(t), routes: sctest.FreeAddr(t)}
		p.nodes[name], routes = node, append(routes, node.routes)
	}
	certificate(t, filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	for name, text := range map[string]string{"secret": "the secret of the nodes\n", "auth.key": processKey, "c.toml": fmt.Sprintf(`
		auth-key-file = "%[1]s/auth.key"
		cluster-routes = "%[2]s"
		cluster-secret-file = "%[1]s/secret"
		cluster-cert-file = "%[1]s/cert.pem"
		cluster-key-file = "%[1]s/key.pem"
		cluster-ca-file = "%[1]s/cert.pem"
	`, dir, strings.Join(routes, ",")) + config} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if p.tokens, err = auth.NewJWT(auth.Options{Key: processKey}); err != nil {
		t.Fatal(err)
	}
	if p.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(p.log.Name())
			t.Logf("the log of the processes:\n%s", text)
		}
	})
	return p
}

// certificate makes a certificate that signs itself.
func certificate(t *testing.T, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "nodes"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// start starts a node. It does not wait for it.
func (p *processes) start(name string, more ...string) {
	p.t.Helper()
	node := p.nodes[name]
	args := append([]string{
		"serve", "--config", filepath.Join(p.dir, "c.toml"), "--cluster-node", name, "--cluster-store", filepath.Join(p.dir, name),
		"--addr", node.addr, "--metrics-addr", node.ops, "--cluster-listen", node.routes,
	}, more...)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), commandVar+"="+strings.Join(args, "\n"))
	cmd.Stderr = p.log
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	node.cmd = cmd
	p.t.Cleanup(func() { p.kill(name) })
}

// kill kills a node, and waits for its end.
func (p *processes) kill(name string) {
	node := p.nodes[name]
	if node.cmd == nil {
		return
	}
	_ = node.cmd.Process.Signal(syscall.SIGKILL)
	_ = node.cmd.Wait()
	node.cmd = nil
}

// get asks a node for a page for operators.
func (p *processes) get(name, path string) (status int, text string) {
	resp, err := http.Get("http://" + p.nodes[name].ops + path)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(body)
}

// await waits until what is asked for is so.
func (p *processes) await(what string, is func() bool) {
	p.t.Helper()
	for begun := time.Now(); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > time.Minute {
			p.t.Fatalf("waiting for %s", what)
		}
	}
}

// awaitReady waits until nodes are ready.
func (p *processes) awaitReady(names ...string) {
	p.t.Helper()
	for _, name := range names {
		p.await(name, func() bool { status, _ := p.get(name, "/readyz"); return status == http.StatusOK })
	}
}

// token signs a token for a user.
func (p *processes) token(user string) string {
	p.t.Helper()
	token, err := p.tokens.Sign(p.t.Context(), claims{Username: user}, auth.ExpiresIn(time.Hour))
	if err != nil {
		p.t.Fatal(err)
	}
	return token.Signed()
}

// connect connects a client to a node.
func (p *processes) connect(name, token string) *peer {
	p.t.Helper()
	return &peer{sctest.Connect(p.t, sctest.TCP(p.nodes[name].addr), token).Follow(), p.t}
}

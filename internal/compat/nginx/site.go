package nginx

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
)

// Site has what a configuration of nginx needs: two addresses, and a
// certificate for 127.0.0.1 and example.com.
type Site struct {
	HTTPS, HTTP string // addresses to listen at
	Cert, Key   string // files
	Roots       *x509.CertPool

	dir     string
	sockets []*os.File
}

// NewSite makes a site that ends with the test.
func NewSite(t testing.TB) *Site {
	t.Helper()
	s := &Site{dir: t.TempDir()}
	s.HTTPS, s.HTTP = s.listen(t), s.listen(t)
	s.certify(t)
	return s
}

// listen opens a socket. nginx takes it over, as it does from an old process of its
// own, so that nobody has to wait for it.
func (s *Site) listen(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	socket, err := listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	s.sockets = append(s.sockets, socket)
	return listener.Addr().String()
}

// certify writes the certificate and its key.
func (s *Site) certify(t testing.TB) {
	t.Helper()
	ready := httptest.NewTLSServer(nil)
	defer ready.Close()
	pair := ready.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	s.Cert, s.Key = filepath.Join(s.dir, "cert.pem"), filepath.Join(s.dir, "key.pem")
	for file, block := range map[string]*pem.Block{
		s.Cert: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]},
		s.Key:  {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.Roots = x509.NewCertPool()
	s.Roots.AddCert(ready.Certificate())
}

// main is the configuration around the servers.
const main = `
daemon off;
%[3]s
pid %[1]s/pid;
error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	%[2]s
}
`

// Start runs nginx with these servers until the test ends.
func (s *Site) Start(t testing.TB, servers string) {
	t.Helper()
	user := "" // that of the test
	if os.Getuid() == 0 {
		user = "user root;" // otherwise it would give up its rights
	}
	file := filepath.Join(s.dir, "nginx.conf")
	if err := os.WriteFile(file, fmt.Appendf(nil, main, s.dir, servers, user), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", `echo "listening on $0"; PATH=$PATH:/usr/sbin exec nginx -e stderr -p "$1" -c "$2"`, s.HTTPS, s.dir, file)
	cmd.Env = append(cmd.Environ(), "NGINX=3;4;")
	cmd.ExtraFiles = s.sockets
	proc.Start(t, cmd)
}

package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// With ClientCAs, nodes find each other, and a stranger without a certificate hears nothing.
func TestStrangerWithoutCertificate(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	addrs := []string{sctest.FreeAddr(t), sctest.FreeAddr(t)}
	var nodes []*Node
	for i, addr := range addrs {
		n, err := Start(t.Context(), Options{
			Name: string(rune('a' + i)), Listen: addr, Routes: addrs, Secret: "the secret of the tests", Logger: slog.New(slog.DiscardHandler),
			TLS: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, RootCAs: pool, ClientCAs: pool},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(n.Close)
		nodes = append(nodes, n)
	}
	for begun := time.Now(); len(nodes[0].Nodes()) < 2; time.Sleep(time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatal("the nodes do not find each other")
		}
	}
	conn, err := tls.Dial("tcp", addrs[0], &tls.Config{RootCAs: pool})
	if err == nil { // with TLS 1.3, the refusal comes with the first read
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		var buf [512]byte
		var n int
		if n, err = conn.Read(buf[:]); err == nil {
			t.Errorf("a stranger reads %q", buf[:n])
		}
	}
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		t.Errorf("a stranger is not refused: %v", err)
	}
}

//go:build linux || darwin

package ws

import (
	"crypto/tls"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// Bytes in the kernel cannot be taken back or overtaken: it should accept few,
// even below TLS.
func TestKernelTakesLittle(t *testing.T) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			_, c := tr.connect(t, Options{})
			nc := c.Unwrap()
			if tc, ok := nc.(*tls.Conn); ok {
				nc = tc.NetConn()
			}
			tc, ok := nc.(*net.TCPConn)
			if !ok {
				return // of another kind
			}
			raw, err := tc.SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			if err := raw.Control(func(fd uintptr) {
				if n, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT); err != nil || n != unsent {
					t.Errorf("the kernel takes %d bytes, %v", n, err)
				}
			}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

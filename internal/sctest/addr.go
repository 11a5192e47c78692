package sctest

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
)

// Systems do not choose these ports for those who connect, or ask for any: so one is still
// free when a process has started, or is started again.
const (
	firstPort = 20_000
	numPorts  = 10_000
)

var (
	portsMu sync.Mutex
	ports   = make(map[int]bool) // that this process has given away
)

// ChooseAddr returns an address at which nobody listens, host:port, another one with each
// call.
func ChooseAddr() (string, error) {
	portsMu.Lock()
	defer portsMu.Unlock()
	for range numPorts {
		port := firstPort + rand.IntN(numPorts)
		if ports[port] {
			continue
		}
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		if l, err := net.Listen("tcp", addr); err == nil {
			ports[port] = true
			return addr, l.Close()
		}
	}
	return "", errors.New("sctest: no port is free")
}

// FreeAddr is ChooseAddr for a test.
func FreeAddr(t testing.TB) string {
	t.Helper()
	addr, err := ChooseAddr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

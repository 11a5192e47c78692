package main

import (
	"io"
	"net"
	"testing"
	"time"
)

// echoAddr is the address of a server that sends back what it gets.
func echoAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	return l.Addr().String()
}

func connectTo(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// answers reports whether a connection carries something there and back. A dead one ends
// before the time is over, a silent one does not.
func answers(t *testing.T, conn net.Conn, patience time.Duration) bool {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write([]byte("x")); err != nil {
		return false
	}
	_, err := io.ReadFull(conn, make([]byte, 1))
	return err == nil
}

const long = 10 * time.Second

// A cable carries until one of its nodes is cut off, and again when that is over. A
// connection that has lost something ends then.
func TestCables(t *testing.T) {
	for _, node := range []string{"a", "b"} {
		c := newCables()
		defer c.close()
		addr, err := c.lay("a", "b", echoAddr(t))
		if err != nil {
			t.Fatal(err)
		}
		before := connectTo(t, addr)
		if !answers(t, before, long) {
			t.Fatal("the cable carries nothing")
		}
		c.cut(node, silent)
		during := connectTo(t, addr)
		for _, conn := range []net.Conn{before, during} {
			if answers(t, conn, 100*time.Millisecond) {
				t.Error("a silent cable carries something")
			}
		}
		c.heal(node)
		for _, conn := range []net.Conn{before, during} {
			if answers(t, conn, long) {
				t.Error("a connection goes on that has lost something")
			}
		}
		before = connectTo(t, addr)
		c.cut("another", refused)
		c.flap("another")
		if !answers(t, before, long) {
			t.Error("another node was cut off, and this cable carries nothing")
		}
		c.cut(node, refused)
		if answers(t, before, long) || answers(t, connectTo(t, addr), long) {
			t.Error("a cable that is cut carries something")
		}
		c.heal(node)
		if !answers(t, connectTo(t, addr), long) {
			t.Error("the cable carries nothing afterwards")
		}
	}
}

// A balancer asks for each connection.
func TestBalancer(t *testing.T) {
	addrs := make(chan string, 2)
	addrs <- "127.0.0.1:1" // nobody is there
	addrs <- echoAddr(t)
	b, err := newBalancer(func() string { return <-addrs })
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	if answers(t, connectTo(t, b.addr()), long) {
		t.Error("nobody answers")
	}
	if !answers(t, connectTo(t, b.addr()), long) {
		t.Error("the balancer carries nothing")
	}
}

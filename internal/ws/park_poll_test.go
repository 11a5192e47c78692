//go:build linux || darwin

package ws

import (
	"bytes"
	"crypto/tls"
	"syscall"
	"testing"
	"time"
)

// watchedRaw calls f after each attempt to read from the socket.
type watchedRaw struct {
	syscall.RawConn
	f func(parks bool)
}

func (w watchedRaw) Read(read func(fd uintptr) bool) error {
	return w.RawConn.Read(func(fd uintptr) bool {
		done := read(fd)
		w.f(!done)
		return done
	})
}

// watch calls f after each attempt to read from the socket.
func watch(c *Conn, f func(parks bool)) { c.park.raw = watchedRaw{c.park.raw, f} }

func TestPollParkHoldsNoBuffer(t *testing.T) {
	client, c := connectTCP(t, Options{})
	parked := make(chan bool, 100)
	watch(c, func(parks bool) {
		if parks {
			parked <- c.buf == nil && c.in == nil
		}
	})
	message := frame(fin|text, "hello")
	go func() {
		// Parked between messages, within a header and within a payload.
		for _, part := range [][]byte{message[:1], message[1:5], message[5:8], message[8:]} {
			if !<-parked {
				t.Error("parked with a read buffer")
			}
			_, _ = client.Write(part)
		}
	}()
	m, err := c.Read()
	if err != nil || string(m.Data) != "hello" {
		t.Fatalf("Read = %q, %v", m.Data, err)
	}
	if c.buf != nil || c.in != nil {
		t.Error("a read buffer outlives the last byte")
	}
}

// What the peer has sent is unread until the reader waits for more, also below TLS.
func TestUnread(t *testing.T) {
	client, c := connectTCP(t, Options{})
	next := func(want bool) {
		t.Helper()
		for begun := time.Now(); c.Unread() != want; time.Sleep(time.Millisecond) {
			if time.Since(begun) > 10*time.Second {
				t.Fatalf("unread: %v", !want)
			}
		}
	}
	send := func(data []byte) {
		t.Helper()
		if _, err := client.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	parked := make(chan bool)
	park := func() { parked <- c.Park(true) }
	go park()
	next(false)
	send(frame(fin|text, "x"))
	<-parked
	if !c.Unread() {
		t.Error("not unread before Read")
	}
	if _, err := c.Read(); err != nil || !c.Unread() {
		t.Errorf("not unread while it is handled, %v", err)
	}
	go park()
	next(false)
	send(frame(fin|text, "y"))
	<-parked

	client, c = connectTCP(t, Options{})
	c = newConn(tls.Server(c.Unwrap(), &tls.Config{}), nil, Options{})
	c.setIdle(true) // as if it were read
	next(false)
	send([]byte("x"))
	next(true)
	c.Close()
	next(false)
}

func TestPollParkReadsManyFramesAtOnce(t *testing.T) {
	client, c := connectTCP(t, Options{})
	const frames = 200
	stream := bytes.Repeat(frame(fin|text, "x"), frames)
	if _, err := client.Write(stream); err != nil {
		t.Fatal(err)
	}
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	reads := 0
	watch(c, func(parks bool) {
		if !parks {
			reads++
		}
	})
	for range frames {
		if _, err := c.Read(); err != nil {
			t.Fatal(err)
		}
	}
	if reads > 10 {
		t.Errorf("%d reads for %d bytes in %d frames", reads, len(stream), frames)
	}
}

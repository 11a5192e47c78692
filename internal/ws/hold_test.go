package ws

import (
	"errors"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster/internal/memnet"
)

// The owner knows of what an unfinished message takes, whatever comes between its
// frames, and of nothing else.
func TestHold(t *testing.T) {
	peer, nc := memnet.Pipe(64 << 10)
	defer peer.Close()
	held, told := 0, make(chan int, 100)
	c := newConn(nc, nil, Options{Owner: owner{hold: func(n int) error {
		held += n
		told <- held
		return nil
	}}})
	defer c.Close()
	read := make(chan error)
	go func() {
		for {
			_, err := c.Read()
			read <- err
			if err != nil {
				return
			}
		}
	}()
	part := strings.Repeat("x", 10_000)
	if _, err := peer.Write(frame(text, part)); err != nil {
		t.Fatal(err)
	}
	atLeast := func(want int) {
		t.Helper()
		for n := range told {
			if n >= want && n <= 4*want+readSize {
				return
			}
		}
	}
	atLeast(10_000)
	_, _ = peer.Write(join(frame(cont, part), frame(fin|ping, "ping")[:8]))
	atLeast(20_000)
	_, _ = peer.Write(join(frame(fin|ping, "ping")[8:], frame(fin|cont, part)))
	if err := <-read; err != nil {
		t.Fatal(err)
	}
	// A message that comes whole is held by nobody.
	_, _ = peer.Write(frame(fin|text, "short"))
	if err := <-read; err != nil {
		t.Fatal(err)
	}
	_, _ = peer.Write(frame(text, part))
	atLeast(10_000)
	_ = peer.Close()
	if err := <-read; err == nil {
		t.Fatal("no error at the end")
	}
	if held != 0 {
		t.Errorf("%d bytes are held at the end", held)
	}
}

// An error of Hold ends the connection, and nothing is held then.
func TestHoldRefuses(t *testing.T) {
	peer, nc := memnet.Pipe(64 << 10)
	defer peer.Close()
	refusal := errors.New("no room")
	held := 0
	c := newConn(nc, nil, Options{Owner: owner{hold: func(n int) error {
		if held += n; held > 20_000 {
			return refusal
		}
		return nil
	}}})
	defer c.Close()
	go func() {
		for {
			if _, err := peer.Write(frame(text, strings.Repeat("x", 30_000))); err != nil {
				return
			}
		}
	}()
	if _, err := c.Read(); err != refusal {
		t.Errorf("got %v", err)
	}
	if held != 0 {
		t.Errorf("%d bytes are held at the end", held)
	}
}

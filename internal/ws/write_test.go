package ws

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/memnet"
)

func sealed(sizes ...int) (frames [][]byte) {
	for i, n := range sizes {
		frames = append(frames, Seal(append(NewBuffer(n), strings.Repeat(string(rune('a'+i%26)), n)...), OpText))
	}
	return frames
}

func many(n, size int) []int {
	sizes := make([]int, n)
	for i := range sizes {
		sizes[i] = size
	}
	return sizes
}

func TestWriteFrames(t *testing.T) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			for _, tc := range []struct {
				name  string
				sizes []int
			}{
				{"nothing", nil},
				{"one", []int{5}},
				{"one large", []int{1 << 20}},
				{"many small", many(64, 20)},
				{"exactly one chunk", []int{chunkSize - 4 - 12, 10}},
				{"many large", many(64, 30000)},
				{"more than a vector", many(1500, 20)},
				{"mixed", []int{0, 1, 40000, 125, 126, 70000, 3}},
			} {
				t.Run(tc.name, func(t *testing.T) {
					client, c := tr.connect(t, Options{})
					frames := sealed(tc.sizes...)
					want := bytes.Join(frames, nil)
					shared := append([][]byte(nil), frames...)
					result := make(chan error, 1)
					go func() { result <- c.WriteFrames(frames, time.Hour) }()
					got := make([]byte, len(want))
					if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, want) {
						t.Errorf("the peer read other bytes, or %v", err)
					}
					if err := <-result; err != nil {
						t.Errorf("WriteFrames: %v", err)
					}
					if !bytes.Equal(bytes.Join(shared, nil), want) {
						t.Error("the bytes of the frames were changed")
					}
				})
			}
		})
	}
}

// The peer reads a byte now and then: it is slow, not stalled (QK-32).
func TestWriteFramesWaitsForASlowPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := memnet.Pipe(10)
		c := newConn(server, nil, Options{})
		defer closeBoth(client, c)
		frames := sealed(100)
		result := make(chan error, 1)
		go func() { result <- c.WriteFrames(frames, time.Second) }()
		for range 102 {
			time.Sleep(900 * time.Millisecond)
			if _, err := io.ReadFull(client, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-result; err != nil {
			t.Errorf("WriteFrames: %v", err)
		}
	})
}

func TestWriteFramesGivesUpOnAStalledPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := memnet.Pipe(10)
		c := newConn(server, nil, Options{})
		defer closeBoth(client, c)
		start := time.Now()
		err := c.WriteFrames(sealed(3, 100), time.Second)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("WriteFrames: %v", err)
		}
		// Ten bytes were taken in the first second, none in the next.
		if d := time.Since(start); d != 2*time.Second {
			t.Errorf("gave up after %v", d)
		}
	})
}

func TestWriteFramesWithoutStallWaitsForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := memnet.Pipe(10)
		c := newConn(server, nil, Options{})
		result := make(chan error, 1)
		go func() { result <- c.WriteFrames(sealed(100), 0) }()
		time.Sleep(1000 * time.Hour)
		select {
		case err := <-result:
			t.Errorf("WriteFrames: %v", err)
		default:
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := <-result; !errors.Is(err, net.ErrClosed) {
			t.Errorf("WriteFrames after Close: %v", err)
		}
		_ = client.Close()
	})
}

// A kernel's socket gives up as well, whichever way the bytes go.
func TestWriteFramesGivesUpOverTCP(t *testing.T) {
	for _, tc := range []struct {
		name   string
		frames [][]byte
	}{
		{"one frame", sealed(64 << 20)},
		{"a vector", sealed(many(64, 1<<20)...)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, c := connectTCP(t, Options{})
			if err := c.WriteFrames(tc.frames, time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("WriteFrames: %v", err)
			}
		})
	}
}

// A deadline of an earlier write does not hit a later one.
func TestWriteFramesLeavesNoDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, c := connectMemory(t, Options{})
		for range 3 {
			if err := c.WriteFrames(sealed(3), time.Second); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
			if _, err := c.Unwrap().Write([]byte("x")); err != nil {
				t.Fatalf("an idle connection's deadline passed: %v", err)
			}
		}
		_ = client.Close()
	})
}

// What fits into the kernel's buffer is written without a deadline; what does
// not, waits under one, and the next small write is free of it again.
func TestWriteFramesArmsOnlyToWait(t *testing.T) {
	client, c := connectTCP(t, Options{})
	if err := c.WriteFrames(sealed(3), time.Minute); err != nil || c.armed {
		t.Fatalf("small write: %v, deadline set: %v", err, c.armed)
	}
	const large = 16 << 20
	done := make(chan error, 1)
	go func() { done <- c.WriteFrames(sealed(large), time.Minute) }()
	wire := len(sealed(3)[0]) + len(sealed(large)[0])
	if _, err := io.CopyN(io.Discard, client, int64(wire)); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil || c.armed {
		t.Errorf("large write: %v, deadline left: %v", err, c.armed)
	}
}

func tlsPair(t *testing.T, size int) (*tls.Conn, net.Conn, *Conn) {
	srv := httptest.NewTLSServer(nil)
	defer srv.Close()
	raw, server := memnet.Pipe(size)
	client := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
	ts := tls.Server(server, &tls.Config{Certificates: srv.TLS.Certificates})
	done := make(chan error, 1)
	go func() { done <- ts.Handshake() }()
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return client, raw, newConn(ts, nil, Options{})
}

// TLS cannot resume a write, so each record has the whole time.
func TestWriteFramesOverTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, _, c := tlsPair(t, 4096)
		frames := sealed(many(10, chunkSize)...)
		total := len(bytes.Join(frames, nil))
		result := make(chan error, 1)
		go func() { result <- c.WriteFrames(frames, time.Second) }()
		for read := 0; read < total; {
			time.Sleep(400 * time.Millisecond)
			n, err := io.ReadAtLeast(client, make([]byte, chunkSize), min(chunkSize, total-read))
			if err != nil {
				t.Fatal(err)
			}
			read += n
		}
		if err := <-result; err != nil {
			t.Errorf("slow peer: %v", err)
		}
		if err := c.WriteFrames(sealed(chunkSize), time.Second); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("stalled peer: %v", err)
		}
		closeBoth(client, c)
	})
}

// Close does not wait for a TLS peer that reads nothing.
func TestCloseOverTLSDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, raw, c := tlsPair(t, 4096)
		// The outgoing direction is full to the last byte without a write in progress.
		if err := c.WriteFrames(sealed(4096-300), time.Hour); err != nil {
			t.Fatal(err)
		}
		nc := c.nc.(*tls.Conn).NetConn()
		if err := nc.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := nc.Write(make([]byte, 4096)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("the buffer is not full")
		}
		result := make(chan error, 1)
		go func() { _, err := c.Read(); result <- err }()
		synctest.Wait()
		start := time.Now()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := <-result; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read: %v", err)
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("closing took %v", d)
		}
		_ = raw.Close()
		_ = client.Close()
	})
}

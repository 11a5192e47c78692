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

// writeFrames writes whole frames, as an outbox does.
func writeFrames(c *Conn, frames [][]byte, stall time.Duration) error {
	for {
		n, err := c.WriteFrames(frames, stall)
		if err != nil {
			return err
		}
		for len(frames) > 0 && n >= len(frames[0]) {
			n -= len(frames[0])
			frames = frames[1:]
		}
		if len(frames) == 0 {
			return nil
		}
		frames[0] = frames[0][n:]
		if err := c.AwaitWrite(stall); err != nil {
			return err
		}
	}
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
					go func() { result <- writeFrames(c, frames, time.Hour) }()
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
		go func() { result <- writeFrames(c, frames, time.Second) }()
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
		err := writeFrames(c, sealed(3, 100), time.Second)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("WriteFrames: %v", err)
		}
		// Ten bytes were taken at once, none since.
		if d := time.Since(start); d != time.Second {
			t.Errorf("gave up after %v", d)
		}
	})
}

func TestWriteFramesWithoutStallWaitsForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := memnet.Pipe(10)
		c := newConn(server, nil, Options{})
		result := make(chan error, 1)
		go func() { result <- writeFrames(c, sealed(100), 0) }()
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
			if err := writeFrames(c, tc.frames, time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
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
			if err := writeFrames(c, sealed(3), time.Second); err != nil {
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

// A write does not wait for bytes for which the kernel has no room; they count
// as separate progress.
func TestWriteFramesDoesNotWait(t *testing.T) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			client, c := tr.connect(t, Options{})
			if tls := tr.name == "tls"; c.Prompt() == tls {
				t.Fatalf("Prompt = %v", c.Prompt())
			} else if tls {
				return
			}
			frames := sealed(100, 16<<20, 100)
			want := bytes.Join(frames, nil)
			taken, err := c.WriteFrames(frames, time.Nanosecond)
			if err != nil || taken < 104 || taken >= len(want) {
				t.Fatalf("%d of %d bytes were taken, %v", taken, len(want), err)
			}
			for {
				n, err := c.WriteFrames([][]byte{want[taken:]}, time.Nanosecond)
				if taken += n; err != nil || taken == len(want) {
					t.Fatalf("%d of %d bytes were taken, %v", taken, len(want), err)
				}
				if n > 0 {
					continue
				}
				// The kernel may have moved some to the peer's side.
				if err := c.AwaitWrite(50 * time.Millisecond); errors.Is(err, os.ErrDeadlineExceeded) {
					break
				} else if err != nil {
					t.Fatal(err)
				}
			}
			result := make(chan error, 1)
			go func() { result <- writeFrames(c, [][]byte{want[taken:]}, time.Hour) }()
			got := make([]byte, len(want))
			if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, want) {
				t.Errorf("the peer read other bytes, or %v", err)
			}
			if err := <-result; err != nil {
				t.Error(err)
			}
		})
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
		go func() { result <- writeFrames(c, frames, time.Second) }()
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
		if err := writeFrames(c, sealed(chunkSize), time.Second); !errors.Is(err, os.ErrDeadlineExceeded) {
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
		if err := writeFrames(c, sealed(4096-300), time.Hour); err != nil {
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

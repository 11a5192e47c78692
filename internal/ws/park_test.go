package ws

import (
	"bytes"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"unsafe"

	"pgregory.net/rapid"
)

func TestReadParkHoldsNoBufferBetweenFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, c := connectMemory(t, Options{})
		go func() {
			for range 3 {
				synctest.Wait()
				if c.buf != nil || c.in != nil {
					t.Error("waiting for a frame with a read buffer")
				}
				_, _ = client.Write(frame(fin|text, "hello"))
			}
		}()
		for range 3 {
			if m, err := c.Read(); err != nil || string(m.Data) != "hello" {
				t.Fatalf("Read = %q, %v", m.Data, err)
			}
		}
	})
}

// countingConn is a wrapper as applications write them.
type countingConn struct {
	*net.TCPConn
	reads int
}

func (c *countingConn) Read(p []byte) (int, error) {
	c.reads++
	return c.TCPConn.Read(p)
}

func TestWrappedConnectionIsReadThroughItsWrapper(t *testing.T) {
	client, direct := connectTCP(t, Options{})
	wrapped := &countingConn{TCPConn: direct.Unwrap().(*net.TCPConn)}
	c := newConn(wrapped, nil, Options{})
	const frames = 200
	if _, err := client.Write(bytes.Repeat(frame(fin|text, "x"), frames)); err != nil {
		t.Fatal(err)
	}
	for range frames {
		if _, err := c.Read(); err != nil {
			t.Fatal(err)
		}
	}
	if wrapped.reads < 2 || wrapped.reads > 20 {
		t.Errorf("%d reads for %d frames of one segment", wrapped.reads, frames)
	}
}

// QK-32: a length that is announced and not sent costs next to nothing.
func TestAnnouncedLengthCostsNoMemory(t *testing.T) {
	for _, tr := range transports[:2] { // one per kind of park
		t.Run(tr.name, func(t *testing.T) {
			const conns, announced = 32, 1 << 20
			message := frame(fin|binry, strings.Repeat("x", announced))[:100]
			type pair struct {
				client net.Conn
				c      *Conn
			}
			var pairs []pair
			for range conns {
				client, c := tr.connect(t, Options{})
				pairs = append(pairs, pair{client, c})
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			ended := make(chan error)
			for _, p := range pairs {
				if _, err := p.client.Write(message); err != nil {
					t.Fatal(err)
				}
				go func() { _, err := p.c.Read(); ended <- err }()
				awaitBytes(p.c, len(message))
			}
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > conns*announced/8 {
				t.Errorf("%d connections that announced %d bytes made the server allocate %d", conns, announced, used)
			}
			for _, p := range pairs {
				_ = p.client.Close()
				if err := <-ended; err == nil {
					t.Error("a broken message was delivered")
				}
			}
		})
	}
}

// Whatever the pieces, a buffer keeps its content and follows what has arrived.
func TestBufferGrowth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.IntRange(1, 1<<20).Draw(t, "total")
		seed := rapid.Uint64().Draw(t, "seed")
		var b *buffer
		defer func() { b.release() }()
		random := rand.NewChaCha8([32]byte{byte(seed)})
		want := make([]byte, 0, total)
		for left := total; left > 0; {
			piece := make([]byte, rapid.IntRange(1, min(left, 1<<17)).Draw(t, "piece"))
			_, _ = random.Read(piece)
			b = b.grow(len(piece), left)
			b.data = append(b.data, piece...)
			want = append(want, piece...)
			left -= len(piece)
			if cap(b.data) > max(8*len(want), 1<<minClass) {
				t.Fatalf("%d bytes hold %d", len(want), cap(b.data))
			}
		}
		if !bytes.Equal(b.bytes(), want) {
			t.Fatal("content changed")
		}
	})
}

// 160 bytes are a size class of Go's memory. They include the place of the
// connection in the poller.
func TestConnIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Conn{}); size > 160 {
		t.Errorf("a Conn has %d bytes", size)
	}
}

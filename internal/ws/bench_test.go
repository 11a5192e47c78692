package ws

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// BenchmarkIdleConn reports what an idle, upgraded connection over loopback
// costs: its net.Conn, its Conn and its parked goroutine. The client's
// net.Conn, in the same process, is counted too. Having read a compressed
// message makes no difference.
func BenchmarkIdleConn(b *testing.B) {
	const offer = "Sec-WebSocket-Extensions: " + deflateName + "\r\n"
	b.Run("plain", func(b *testing.B) { benchmarkIdleConn(b, "", "", frame(fin|text, "hello")) })
	b.Run("deflate", func(b *testing.B) {
		benchmarkIdleConn(b, offer, "Sec-WebSocket-Extensions: "+deflateAnswer+"\r\n", frame(fin|compressedBit|text, deflated(sample(4000))))
	})
}

func benchmarkIdleConn(b *testing.B, offer, accepted string, first []byte) {
	const conns = 2000
	var readers sync.WaitGroup
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, Options{Deflate: true})
		if err != nil {
			b.Error(err)
			return
		}
		readers.Go(func() {
			defer c.Close()
			for {
				m, err := c.Read()
				if err != nil {
					return
				}
				m.Release()
			}
		})
	})
	for b.Loop() {
		srv := httptest.NewServer(handler)
		before := memoryInUse()
		clients := make([]net.Conn, 0, conns)
		answer := make([]byte, len(response)+len(accepted)+2)
		for range conns {
			client, err := net.Dial("tcp", srv.Listener.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			clients = append(clients, client)
			if _, err := io.WriteString(client, request+offer+"\r\n"+string(first)); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(client, answer); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(memoryInUse()-before)/conns, "bytes/conn")
		for _, client := range clients {
			_ = client.Close()
		}
		readers.Wait()
		srv.Close()
	}
}

// memoryInUse settles goroutines and pools before it measures.
func memoryInUse() int64 {
	for range 4 {
		time.Sleep(50 * time.Millisecond)
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

func BenchmarkRead(b *testing.B) {
	for _, bench := range []struct {
		name string
		size int
	}{{"pong", 0}, {"100B", 100}, {"4KiB", 4 << 10}, {"64KiB", 64 << 10}, {"1MiB", 1 << 20}} {
		b.Run(bench.name, func(b *testing.B) {
			client, c := connectTCP(b, Options{})
			message := frame(fin|text, strings.Repeat("x", bench.size))
			batch := []byte(strings.Repeat(string(message), max(1, 16<<10/len(message))))
			go func() {
				for {
					if _, err := client.Write(batch); err != nil {
						return
					}
				}
			}()
			b.SetBytes(int64(len(message)))
			b.ReportAllocs()
			for b.Loop() {
				m, err := c.Read()
				if err != nil {
					b.Fatal(err)
				}
				m.Release()
			}
		})
	}
}

func BenchmarkWriteFrames(b *testing.B) {
	for _, bench := range []struct {
		name  string
		sizes []int
	}{{"1x100B", []int{100}}, {"64x100B", many(64, 100)}, {"64x1KiB", many(64, 1<<10)}} {
		b.Run(bench.name, func(b *testing.B) {
			client, c := connectTCP(b, Options{})
			go func() { _, _ = io.Copy(io.Discard, client) }()
			frames := sealed(bench.sizes...)
			batch := make([][]byte, len(frames))
			b.ReportAllocs()
			for b.Loop() {
				copy(batch, frames)
				if err := writeFrames(c, batch, 10*time.Second); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSeal(b *testing.B) {
	payload := []byte(strings.Repeat("x", 100))
	b.ReportAllocs()
	for b.Loop() {
		_ = Seal(append(NewBuffer(len(payload)), payload...), OpText)
	}
}

package ws

import (
	"bytes"
	"compress/flate"
	"fmt"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func sealedText(payload string) []byte {
	return Seal(append(NewBuffer(len(payload)), payload...), OpText)
}

func TestDeflate(t *testing.T) {
	long := strings.Repeat("compress me ", 100)
	t.Run("what is not compressed", func(t *testing.T) {
		for name, frame := range map[string][]byte{
			"below the threshold": sealedText(long[:99]),
			"close":               CloseFrame(1000, long[:120]),
			"ping":                Seal(append(NewBuffer(120), long[:120]...), OpPing),
			"pong":                Seal(append(NewBuffer(120), long[:120]...), OpPong),
			"compressed already":  Deflate(sealedText(long), 1, 0),
		} {
			if got := Deflate(frame, 1, 100); &got[0] != &frame[0] {
				t.Errorf("%s: a new frame % x", name, got[:2])
			}
		}
	})
	for level := 1; level <= 9; level++ {
		for _, payload := range []string{long[:100], long, strings.Repeat(long, 100), noise(100000), strings.Repeat("a", 1<<20)} {
			t.Run(fmt.Sprintf("level %d, %d bytes", level, len(payload)), func(t *testing.T) {
				frame := sealedText(payload)
				before := bytes.Clone(frame)
				z := Deflate(frame, level, 100)
				if !bytes.Equal(frame, before) {
					t.Error("the frame has changed")
				}
				if z[0] != fin|compressedBit|text {
					t.Fatalf("first byte %#x", z[0])
				}
				out, err := inflate(framePayload(z), len(payload), 1)
				if err != nil || string(out.bytes()) != payload {
					t.Fatalf("came back as %d bytes, %v", out.len(), err)
				}
				out.release()
				if most := len(frame) + len(frame)>>10 + 16; len(z) > most {
					t.Errorf("%d bytes have become %d", len(frame), len(z))
				}
			})
		}
	}
}

// Messages of one connection do not affect the compressed messages of another.
func TestDeflateKeepsNothing(t *testing.T) {
	secret := noise(2000)
	want := Deflate(sealedText(secret), 6, 0)
	for range 3 {
		Deflate(sealedText(secret+secret), 6, 0)
		if got := Deflate(sealedText(secret), 6, 0); !bytes.Equal(got, want) {
			t.Fatal("the output depends on what was compressed before")
		}
	}
}

// Any payload goes through a connection, compressed and in fragments, as it is.
func TestDeflateRoundtrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		payload := strings.Repeat(rapid.String().Draw(t, "part"), rapid.IntRange(0, 300).Draw(t, "times"))
		z := framePayload(Deflate(sealedText(payload), rapid.IntRange(1, 9).Draw(t, "level"), 0))
		cut := rapid.IntRange(0, len(z)).Draw(t, "cut")
		stream := join(frame(compressedBit|text, z[:cut]), frame(fin|cont, z[cut:]))
		c := newConn(&scriptConn{stream: stream, n: rapid.IntRange(1, 5000).Draw(t, "piece")}, nil, Options{})
		c.deflate = true
		m, err := c.Read()
		if err != nil || string(m.Data) != payload {
			t.Fatalf("%q came back as %q, %v", payload, m.Data, err)
		}
		m.Release()
	})
}

// Any number of goroutines may compress and decompress at a time.
func TestDeflateInParallel(t *testing.T) {
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			payload := strings.Repeat(fmt.Sprint(i), 5000)
			for range 5 {
				out, err := inflate(framePayload(Deflate(sealedText(payload), flate.BestSpeed, 0)), len(payload), 1)
				if err != nil || string(out.bytes()) != payload {
					t.Errorf("%d: %v", i, err)
				}
				out.release()
			}
		})
	}
	all.Wait()
}

func BenchmarkDeflate(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 1 << 20} {
		for _, level := range []int{flate.BestSpeed, 6} {
			b.Run(fmt.Sprintf("%dKiB/level%d", size>>10, level), func(b *testing.B) {
				frame := sealedText(sample(size))
				b.SetBytes(int64(size))
				b.ReportAllocs()
				var n int
				for b.Loop() {
					n = len(Deflate(frame, level, 0))
				}
				b.ReportMetric(float64(n)/float64(len(frame)), "ratio")
			})
		}
	}
}

func BenchmarkReadCompressed(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			stream := frame(fin|compressedBit|text, deflated(sample(size)))
			script := &scriptConn{n: 1 << 20}
			c := newConn(script, nil, Options{})
			c.deflate = true
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				script.stream = stream
				m, err := c.Read()
				if err != nil {
					b.Fatal(err)
				}
				m.Release()
			}
		})
	}
}

// sample is text that compresses as messages of applications do.
func sample(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, `{"id":%d,"user":"user%d","price":%d.%02d,"text":"order %d","active":%v},`, i*7919%100003, i*31%97, i*577%1000, i*13%100, i*271%911, i%3 == 0)
	}
	return b.String()[:n]
}

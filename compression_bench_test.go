package socketcluster_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster"
)

// BenchmarkFanoutCompressed is BenchmarkFanout with a publication of 4 KiB:
// plain, compressed once for all sockets, and as it would be if each socket
// compressed for itself, which is what outbound middleware makes of it.
func BenchmarkFanoutCompressed(b *testing.B) {
	data := json.RawMessage(`{"rows":[` + strings.Repeat(`{"id":12345,"user":"alice","price":99.5,"active":true},`, 80) + `0]}`)
	for _, bench := range []struct {
		name       string
		level      int
		middleware bool
	}{{"off", 0, false}, {"shared", 1, false}, {"each", 1, true}} {
		b.Run(bench.name, func(b *testing.B) {
			const subscribers = 1000
			out := &sink{full: make(chan struct{}, 1)}
			cfg := socketcluster.Config{Compression: socketcluster.Compression{Level: bench.level}}
			r := newRigWith(b, cfg, func(l net.Listener) net.Listener { out.Listener = l; return out })
			if bench.middleware {
				r.srv.UseOutbound(func(context.Context, socketcluster.Action) error { return nil })
			}
			offer := bytes.Replace(upgradeRequest, []byte("\r\n\r\n"), []byte("\r\nSec-WebSocket-Extensions: "+deflateOffer+"\r\n\r\n"), 1)
			subscribe := textFrame(`{"event":"#subscribe","data":{"channel":"room"},"cid":2}`)
			var readers []*driver
			for range subscribers {
				conn, err := r.listen.Dial(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				d, err := openWith(conn, offer, handshakeFrame(""))
				if err != nil {
					b.Fatal(err)
				}
				r.must(d.call(subscribe))
				readers = append(readers, d)
			}
			publish := func() {
				if err := r.srv.Exchange().Publish(b.Context(), "room", data); err != nil {
					b.Fatal(err)
				}
			}
			publish()
			var size int
			for _, d := range readers {
				var err error
				if size, err = d.skip(); err != nil {
					b.Fatal(err)
				}
			}
			out.on.Store(true)
			b.ReportAllocs()
			for b.Loop() {
				out.want.Add(int64(size) * subscribers)
				publish()
				<-out.full
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/subscribers, "ns/delivery")
			b.ReportMetric(float64(size), "bytes/frame")
		})
	}
}

// skip drops the next frame, of 126 to 65535 bytes of payload, and returns its size.
func (d *driver) skip() (size int, err error) {
	head, err := d.in.Peek(4)
	if err != nil {
		return 0, err
	}
	return d.in.Discard(4 + int(head[2])<<8 + int(head[3]))
}

package socketcluster_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/socketcluster-go/socketcluster"
)

// A publication that is being delivered to a socket, and that socket joining
// and leaving the channel, wait for each other in one order only.
func TestSubscribeDuringPublish(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		ctx, cancel := context.WithCancel(context.Background())
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			for ctx.Err() == nil {
				w.srv.Exchange().Publish(ctx, "a", 1)
			}
		}()
		p := w.client()
		go func() {
			for i := range 2000 {
				p.send(fmt.Sprintf(`[{"event":"#subscribe","data":{"channel":"a"},"cid":%d},{"event":"#unsubscribe","data":"a"}]`, i+2))
			}
			p.send(`{"event":"#unsubscribe","data":"x","cid":9999}`)
		}()
		for {
			f, err := p.nextFrame()
			if err != nil {
				t.Fatal(err)
			}
			if len(f.Payload) > 11 && string(f.Payload[:11]) == `{"rid":9999` {
				break
			}
		}
		cancel()
		<-stopped
	})
}

package outbox

import (
	"errors"
	"testing"
	"testing/synctest"
)

// TestDrain pins that Drain outlasts Finish, unlike Wait, and that every way to
// end an outbox ends it.
func TestDrain(t *testing.T) {
	for _, test := range []struct {
		name string
		end  func(o *Outbox[int], c *gatedConn)
	}{
		{"written", func(_ *Outbox[int], c *gatedConn) { c.result <- nil }},
		{"write fails", func(_ *Outbox[int], c *gatedConn) { c.result <- errors.New("lost") }},
		{"killed", func(o *Outbox[int], _ *gatedConn) { o.Kill() }},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var o Outbox[int]
				c := &gatedConn{result: make(chan error)}
				o.Init(c, &ownerLog{outbox: &o}, 0, stall, nil)
				o.Drain() // nothing to wait for
				if err := o.Push([]byte("frame")); err != nil {
					t.Fatal(err)
				}
				synctest.Wait() // the first write has only the first frame
				o.Finish([]byte("last"))
				drained := make(chan struct{})
				go func() {
					o.Drain()
					close(drained)
				}()
				c.result <- nil
				synctest.Wait()
				select {
				case <-drained:
					t.Fatal("Drain returned before the last frame was written")
				default:
				}
				test.end(&o, c)
				<-drained
				close(c.result) // ends the write that is under way after Kill
				synctest.Wait()
			})
		})
	}
}

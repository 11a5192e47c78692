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
		end  func(o *Outbox[int], c *tubeConn)
	}{
		{"written", func(_ *Outbox[int], c *tubeConn) { c.give(100) }},
		{"write fails", func(_ *Outbox[int], c *tubeConn) { c.fail(errors.New("lost")) }},
		{"killed", func(o *Outbox[int], _ *tubeConn) { o.Kill() }},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var o Outbox[int]
				c := newTube(0)
				o.Init(peer(c, &ownerLog{outbox: &o}), &Limits{Stall: stall}, nil)
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
				c.give(len("frame"))
				synctest.Wait()
				select {
				case <-drained:
					t.Fatal("Drain returned before the last frame was written")
				default:
				}
				test.end(&o, c)
				<-drained
				c.fail(errWrite) // ends the write that is under way after Kill
				synctest.Wait()
			})
		})
	}
}

package outbox

import (
	"testing"
	"testing/synctest"
)

// TestTakeMakesRoom pins that those who wait for room get that of frames that
// were taken out.
func TestTakeMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o Outbox[int]
		c := &gatedConn{result: make(chan error)}
		o.Init(c, &ownerLog{outbox: &o}, 0, stall, nil)
		if err := o.Push(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the first write has only the first frame
		if err := o.PushFrame(Frame[int]{Bytes: make([]byte, 100), Tag: 1}); err != nil {
			t.Fatal(err)
		}
		room := make(chan struct{})
		go func() {
			o.Wait(50)
			close(room)
		}()
		synctest.Wait()
		if taken := o.Take(func(*Frame[int]) bool { return true }); len(taken) != 1 || o.Bytes() != 10 || o.Len() != 1 {
			t.Errorf("%d frames were taken, %d of %d bytes are left", len(taken), o.Len(), o.Bytes())
		}
		synctest.Wait()
		select {
		case <-room:
		default:
			t.Error("Wait goes on although there is room")
		}
		o.Kill()
		close(c.result)
	})
}

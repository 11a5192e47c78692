package hub

import "testing"

// A delivery allocates nothing, however many there are.
func TestPublishAllocates(t *testing.T) {
	h := New()
	for range 1000 {
		h.Subscribe("x", &sink{})
	}
	p := &Publication{Channel: "x"}
	if n := testing.AllocsPerRun(100, func() { h.Publish(p) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

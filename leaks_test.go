package socketcluster_test

import (
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// leaks tells what has come since trackLeaks and is still there.
type leaks struct {
	goroutines  goleak.Option
	descriptors int
}

func trackLeaks(t *testing.T) leaks {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") // the runtime has descriptors of its own from then on
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	return leaks{goleak.IgnoreCurrent(), descriptors(t)}
}

// check waits for what is about to end.
func (l leaks) check(t *testing.T) {
	t.Helper()
	goleak.VerifyNone(t, l.goroutines)
	eventually(t, "the descriptors are closed", func() bool { return descriptors(t) <= l.descriptors })
}

// descriptors counts those of this process.
func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// heapInUse is how much of the heap is reachable.
func heapInUse() int {
	runtime.GC()
	runtime.GC() // what pools have kept of the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// hangLimit is how long a test waits on the wall clock for what must come, far
// longer than a loaded machine needs.
const hangLimit = 30 * time.Second

// eventually waits for what real connections do.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for began := time.Now(); !done(); time.Sleep(time.Millisecond) {
		if time.Since(began) > hangLimit {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// Package footprint measures the memory of the process, for benchmarks.
package footprint

import (
	"bytes"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"
)

// Footprint has sizes in bytes.
type Footprint struct {
	Heap, Stacks float64 // in use
	Resident     float64 // VmRSS; 0 where there is no /proc
}

// Now lets goroutines and pools settle, and what is free return to the system, and
// then measures. It takes some 300 ms.
func Now() Footprint {
	for range 3 {
		time.Sleep(100 * time.Millisecond)
		debug.FreeOSMemory()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return Footprint{float64(m.HeapInuse), float64(m.StackInuse), resident()}
}

func resident() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmRSS:")); ok {
			kib, _ := strconv.ParseFloat(string(bytes.Fields(rest)[0]), 64)
			return kib * 1024
		}
	}
	return 0
}

// Each is what each of n things has added since before.
func (f Footprint) Each(before Footprint, n int) Footprint {
	return Footprint{(f.Heap - before.Heap) / float64(n), (f.Stacks - before.Stacks) / float64(n), (f.Resident - before.Resident) / float64(n)}
}

//go:build unix

package cluster_test

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/cluster"
)

// cpu returns what the process, with all nodes in it, has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkPublishStored is a publication of 128 bytes that is stored with three copies, as
// many in flight as its name says.
func BenchmarkPublishStored(b *testing.B) {
	nodes, _ := startStored(b, 3, withHistory)
	data := slices.Repeat([]byte("1"), 128)
	channels := make([]string, 64)
	for i := range channels {
		channels[i] = fmt.Sprint("chat/", i)
		await(b, "three copies", func() bool { return nodes[0].Complete(b.Context(), channels[i]) == 3 })
	}
	for _, inFlight := range []int{1, 64} {
		b.Run(fmt.Sprint(inFlight), func(b *testing.B) {
			var took latencies
			var over sync.WaitGroup
			before := cpu(b)
			for i := range inFlight {
				over.Go(func() {
					for n := i; n < b.N; n += inFlight {
						begun := time.Now()
						if _, err := nodes[0].Publish(b.Context(), channels[i], "", data); err != nil {
							b.Error(err)
							return
						}
						took.add(time.Since(begun))
					}
				})
			}
			over.Wait()
			b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "µs-cpu/op")
			took.report(b, "")
		})
	}
}

// BenchmarkPublishSynced is a publication that one node alone writes through to its disk.
func BenchmarkPublishSynced(b *testing.B) {
	nodes, _ := startStored(b, 1, func(o *cluster.Options) {
		withHistory(o)
		o.SyncAlways = true
	})
	var took latencies
	for b.Loop() {
		begun := time.Now()
		publish(b, nodes[0], "chat/a", "", "1")
		took.add(time.Since(begun))
	}
	took.report(b, "")
}

// BenchmarkSubjects is a channel to which a node has subscribed: its memory there, and
// what it takes on another node.
func BenchmarkSubjects(b *testing.B) {
	const channels = 50_000
	heap := func() float64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	var bytes [2]float64
	for n := range bytes {
		nodes := start(b, n+1)
		brokers, _ := begin(b, nodes[:1])
		before := heap()
		for i := range channels {
			if err := brokers[0].Subscribe(b.Context(), fmt.Sprint("channel/", i)); err != nil {
				b.Fatal(err)
			}
		}
		bytes[n] = (heap() - before) / channels
		for _, node := range nodes {
			node.Close()
		}
	}
	for b.Loop() { // there is nothing to time
	}
	b.ReportMetric(bytes[0], "B-local/channel")
	b.ReportMetric(bytes[1]-bytes[0], "B-remote/channel")
}

// BenchmarkGap is the time from when a node reaches the others again until it has delivered
// what it has missed, although nothing more is published.
func BenchmarkGap(b *testing.B) {
	nodes, _, c := startCut(b, 3, withHistory)
	_, sinks := three(b, nodes, []string{"chat/a"})
	led := leader(b, nodes, "chat/a")
	away := (led + 1) % 3
	var took latencies
	for b.Loop() {
		got := sinks[nodes[away].Name()]
		n := len(got.got())
		c.cut(away)
		await(b, "the cut", func() bool { return len(nodes[away].Nodes()) == 1 })
		publish(b, nodes[led], "chat/a", "", "1")
		c.heal(away)
		await(b, "a route", func() bool { return len(nodes[away].Nodes()) > 1 })
		begun := time.Now()
		await(b, "what was missed", func() bool { return len(got.got()) > n })
		took.add(time.Since(begun))
	}
	took.report(b, "")
}

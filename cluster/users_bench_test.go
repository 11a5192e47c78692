package cluster_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/cluster"
)

// latencies are durations of single operations.
type latencies struct {
	mu  sync.Mutex
	all []time.Duration
}

func (l *latencies) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, d)
}

// report reports percentiles.
func (l *latencies) report(b *testing.B, name string) {
	b.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.all) == 0 {
		return
	}
	slices.Sort(l.all)
	for _, p := range []int{50, 99} {
		b.ReportMetric(float64(l.all[(len(l.all)-1)*p/100].Microseconds()), fmt.Sprintf("µs-%sp%d", name, p))
	}
}

// BenchmarkInvokeAnywhere is a call to a user on another node of three, with the answer
// of the client.
func BenchmarkInvokeAnywhere(b *testing.B) {
	stations := openAll(b, start(b, 3))
	c := stations[1].connect(b, user{Username: "alice"})
	go func() {
		for {
			text, err := c.Conn.Next()
			if err != nil {
				return
			}
			begin := len(text) - len(`1}`)
			for text[begin-1] != ':' {
				begin--
			}
			_ = c.Conn.Send(`{"rid":` + text[begin:len(text)-1] + `}`)
		}
	}()
	to := stations[0].node.To(cluster.User("alice"))
	var took latencies
	b.ReportAllocs()
	for b.Loop() {
		begun := time.Now()
		if _, err := to.Invoke(b.Context(), "ask", nil); err != nil {
			b.Fatal(err)
		}
		took.add(time.Since(begun))
	}
	took.report(b, "")
}

// BenchmarkAskNobody is a call to a user who is not there: three nodes answer.
func BenchmarkAskNobody(b *testing.B) {
	stations := openAll(b, start(b, 3))
	to := stations[0].node.To(cluster.User("alice"))
	var took latencies
	b.ReportAllocs()
	for b.Loop() {
		begun := time.Now()
		if _, err := to.Transmit(b.Context(), "news", nil); err == nil {
			b.Fatal("somebody is there")
		}
		took.add(time.Since(begun))
	}
	took.report(b, "")
}

// BenchmarkRevokeAnywhere is a revocation with three copies: until Add has returned, which
// is when it is in force on all nodes, and until the watchers of another node are told.
func BenchmarkRevokeAnywhere(b *testing.B) {
	nodes, _ := startStored(b, 3, nil)
	stores := all(b, nodes, cluster.RevocationOptions{})
	var returned, told latencies
	var mu sync.Mutex
	var begun time.Time
	for _, store := range stores[1:] {
		store.Watch(func(revoke.Revocation) {
			mu.Lock()
			defer mu.Unlock()
			told.add(time.Since(begun))
		})
	}
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		i++
		mu.Lock()
		begun = time.Now()
		mu.Unlock()
		if err := stores[0].Add(b.Context(), revoke.Revocation{JTI: fmt.Sprint(i), Until: time.Now().Add(time.Hour)}); err != nil {
			b.Fatal(err)
		}
		returned.add(time.Since(begun))
	}
	returned.report(b, "returned-")
	told.report(b, "told-")
}

// BenchmarkLoadRevocations is the load of 100,000 revocations by a node that starts.
func BenchmarkLoadRevocations(b *testing.B) {
	const number = 100_000
	nodes, options := startStored(b, 3, nil)
	stores := all(b, nodes, cluster.RevocationOptions{})
	var adders sync.WaitGroup
	begun := time.Now()
	for g := range 100 {
		adders.Go(func() {
			for i := range number / 100 {
				r := revoke.Revocation{JTI: fmt.Sprint("token ", g, " ", i), Until: time.Now().Add(time.Hour)}
				if err := stores[0].Add(b.Context(), r); err != nil {
					b.Error(err)
				}
			}
		})
	}
	adders.Wait()
	b.Logf("%d added in %v", number, time.Since(begun))
	for b.Loop() {
		b.StopTimer()
		nodes[2].Close()
		nodes[2] = startNode(b, options[2])
		ready(b, nodes[2])
		b.StartTimer()
		if got := revocations(b, nodes[2], cluster.RevocationOptions{}).Len(); got != number {
			b.Fatalf("%d are loaded", got)
		}
	}
}

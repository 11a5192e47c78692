package presence

import (
	"encoding/json"
	"fmt"
	"runtime"
	"testing"
	"time"
)

// benchRows are as many rows of channels with 20 users each.
func benchRows(n int) *State {
	c := newState("a", "a1", time.Second, false)
	for i := range n {
		c.Enter(Row{Key: Key{fmt.Sprint("room/", i/20), fmt.Sprintf("%016x", i*7919)}, User: fmt.Sprint("user-", i)}, time.Now())
	}
	c.changes, c.work.News = nil, nil
	return c
}

// heap returns how many bytes are in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkSnapshot hands 10,000 rows to another node.
func BenchmarkSnapshot(b *testing.B) {
	const rows = 10_000
	sender := benchRows(rows)
	var receiver *State
	bytes := 0
	for b.Loop() {
		receiver = newState("b", "b1", time.Second, false)
		receiver.Follow(map[string]bool{"a1": true}, time.Now())
		sender.snapshot("b1")
		bytes = 0
		for _, o := range sender.work.Messages {
			bytes += len(o.Data)
			m, err := decode(o.Data)
			if err != nil {
				b.Fatal(err)
			}
			receiver.receive(m, time.Now())
		}
		sender.work.Messages = nil
		if receiver.work.News = nil; len(receiver.remotes["a1"].rows.rows) != rows {
			b.Fatal("rows are missing")
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
	b.ReportMetric(float64(bytes)/rows, "bytes/row")
	full := heap()
	runtime.KeepAlive(receiver)
	receiver = nil
	b.ReportMetric(float64(full-heap())/rows, "heap-bytes/row")
	runtime.KeepAlive(sender)
}

// BenchmarkDelta is a row that comes and goes, as two nodes see it.
func BenchmarkDelta(b *testing.B) {
	sender, receiver := benchRows(10_000), newState("b", "b1", time.Second, false)
	receiver.Follow(map[string]bool{"a1": true}, time.Now())
	pass := func() {
		for _, o := range sender.work.Messages {
			m, err := decode(o.Data)
			if err != nil {
				b.Fatal(err)
			}
			receiver.receive(m, time.Now())
		}
		sender.work.Messages, sender.work.News, receiver.work.News = nil, nil, nil
	}
	sender.snapshot("b1")
	pass()
	r := Row{Key: Key{"room/1", "0123456789abcdef"}, User: "user"}
	for b.Loop() {
		sender.Enter(r, time.Now())
		sender.flush()
		sender.Exit(r.Key, time.Now())
		sender.flush()
		pass()
		sender.table.expire(time.Now().Add(time.Hour), func(Who, json.RawMessage) {})
	}
}

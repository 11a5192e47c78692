package cluster

import (
	"encoding/json"
	"fmt"
	"runtime"
	"testing"
	"time"
)

// benchRows are as many rows of channels with 20 users each.
func benchRows(n int) *presenceCore {
	c := newPresenceCore("a", "a1", time.Second, false)
	for i := range n {
		c.enter(row{rowKey: rowKey{fmt.Sprint("room/", i/20), fmt.Sprintf("%016x", i*7919)}, user: fmt.Sprint("user-", i)}, time.Now())
	}
	c.changes, c.news = nil, nil
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
	var receiver *presenceCore
	bytes := 0
	for b.Loop() {
		receiver = newPresenceCore("b", "b1", time.Second, false)
		receiver.keep(map[string]bool{"a1": true}, time.Now())
		sender.snapshot("b1")
		bytes = 0
		for _, o := range sender.out {
			bytes += len(o.data)
			m, err := decodePresence(o.data)
			if err != nil {
				b.Fatal(err)
			}
			receiver.receive(m, time.Now())
		}
		sender.out = nil
		if receiver.news = nil; len(receiver.remotes["a1"].rows.rows) != rows {
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
	sender, receiver := benchRows(10_000), newPresenceCore("b", "b1", time.Second, false)
	receiver.keep(map[string]bool{"a1": true}, time.Now())
	pass := func() {
		for _, o := range sender.out {
			m, err := decodePresence(o.data)
			if err != nil {
				b.Fatal(err)
			}
			receiver.receive(m, time.Now())
		}
		sender.out, sender.news, receiver.news = nil, nil, nil
	}
	sender.snapshot("b1")
	pass()
	r := row{rowKey: rowKey{"room/1", "0123456789abcdef"}, user: "user"}
	for b.Loop() {
		sender.enter(r, time.Now())
		sender.flush()
		sender.exit(r.rowKey, time.Now())
		sender.flush()
		pass()
		sender.table.expire(time.Now().Add(time.Hour), func(leaveKey, json.RawMessage) {})
	}
}

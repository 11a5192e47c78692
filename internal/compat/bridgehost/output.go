package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

// output is the queue for all lines. It is unbounded: nothing may wait until
// the bridge reads, and nothing may be lost.
type output struct {
	mu      sync.Mutex
	pending bytes.Buffer
	wake    chan struct{} // holds one token while pending is not empty
	stop    chan struct{}
	stopped chan struct{} // closed when nothing more is written
}

func newOutput(w io.Writer) *output {
	o := &output{wake: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{})}
	go o.write(w)
	return o
}

// put adds the line that build returns. build runs with the queue locked, so
// that the snapshots on the lines are in the order of the lines.
func (o *output) put(build func() any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	enc := json.NewEncoder(&o.pending)
	enc.SetEscapeHTML(false) // messages of clients are passed on unchanged
	mark := o.pending.Len()
	if err := enc.Encode(build()); err != nil {
		o.pending.Truncate(mark)
		fmt.Fprintf(&o.pending, "cannot encode a line: %v\n", err)
	}
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *output) write(w io.Writer) {
	defer close(o.stopped)
	for last := false; !last; {
		select {
		case <-o.wake:
		case <-o.stop:
			last = true
		}
		o.mu.Lock()
		lines := bytes.Clone(o.pending.Bytes())
		o.pending.Reset()
		o.mu.Unlock()
		if _, err := w.Write(lines); err != nil {
			return // the bridge has gone; the input ends too
		}
	}
}

// close writes the remaining lines. Later lines are lost.
func (o *output) close() {
	close(o.stop)
	<-o.stopped
}

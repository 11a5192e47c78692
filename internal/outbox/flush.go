package outbox

// flush writes until nothing is left. It is the only place that writes, and
// gives the queue back at the end.
func (q *queue[Tag]) flush() {
	o := q.owner
	var failure error
	o.mu.Lock()
	for !o.killed {
		frames, size := q.next()
		if frames == nil {
			break
		}
		o.mu.Unlock()
		err := o.conn.WriteFrames(frames, o.stall)
		o.mu.Lock()
		n, own := q.written()
		if o.killed {
			break
		}
		if err != nil {
			failure = err
			o.kill()
			break
		}
		o.frames += uint64(n)
		o.written += uint64(size)
		o.bytes -= size
		o.count(-own)
		q.wake()
	}
	flushed := o.finished && !o.killed
	o.queue = nil
	o.mu.Unlock()
	q.release()

	switch {
	case failure != nil:
		o.owner.OutboxFailed(failure)
	case flushed:
		o.owner.OutboxFlushed()
	}
}

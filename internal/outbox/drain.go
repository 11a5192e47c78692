package outbox

// Drain blocks until everything queued has been written, the frame of Finish
// included, or a write has failed, or Kill was called. No new frames should
// be pushed meanwhile.
func (o *Outbox[Tag]) Drain() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.bytes > 0 && !o.killed {
		o.queue.wait(&o.mu)
	}
}

package upstream

// NumChannels returns how many channels the broker knows.
func (b *Broker) NumChannels() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.channels)
}

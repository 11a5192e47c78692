package cluster

// chain knows which messages of a stream have been handled. Those that are stored one
// after the other have successive sequences. Messages may come early or twice.
type chain struct {
	last  uint64              // this and all before have been handled, or are gone
	ahead map[uint64]struct{} // handled, beyond a gap
}

// maxAhead is the number of messages beyond a gap that are remembered. Others may be
// handled twice.
const maxAhead = 1 << 16

// fresh reports whether a message has not been handled yet.
func (c *chain) fresh(seq uint64) bool {
	_, early := c.ahead[seq]
	return seq > c.last && !early
}

// handled records a message that was handled, and reports whether there is a gap
// before it.
func (c *chain) handled(seq uint64) (gap bool) {
	switch {
	case seq <= c.last:
		return false
	case seq > c.last+1:
		if c.ahead == nil {
			c.ahead = make(map[uint64]struct{})
		}
		if len(c.ahead) < maxAhead {
			c.ahead[seq] = struct{}{}
		}
		return true
	}
	c.upTo(seq)
	return false
}

// upTo records that all messages up to a sequence have been handled, or are gone.
func (c *chain) upTo(seq uint64) {
	c.last = max(c.last, seq)
	for len(c.ahead) > 0 {
		if _, ok := c.ahead[c.last+1]; !ok {
			break
		}
		c.last++
	}
	for seq := range c.ahead {
		if seq <= c.last {
			delete(c.ahead, seq)
		}
	}
}

// has reports whether a message has been handled.
func (c *chain) has(seq uint64) bool {
	_, early := c.ahead[seq]
	return seq <= c.last || early
}

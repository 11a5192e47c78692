package client

// Stats are the figures of a client: of its current connection, and of its
// channels.
type Stats struct {
	BytesReceived int64
	OutboxBytes   int // waiting for the server to read them
	Subscriptions int
}

// Stats returns the current figures.
func (c *Client) Stats() (st Stats) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ch := range c.channels {
		if ch.state == Subscribed {
			st.Subscriptions++
		}
	}
	if l := c.link; l != nil && l.conn != nil {
		st.BytesReceived = l.conn.BytesRead()
		st.OutboxBytes = l.out.Bytes()
	}
	return st
}

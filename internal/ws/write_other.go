//go:build !linux && !darwin

package ws

// writeNow writes what can be written without waiting: here, nothing.
func (c *Conn) writeNow(p []byte) int { return 0 }

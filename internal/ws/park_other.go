//go:build !linux && !darwin

package ws

import "net"

// park is empty: on this system connections can only be read.
type park struct{}

func (*park) init(net.Conn, *Poller)     {}
func (*park) polls() bool                { return false }
func (*park) readAll() bool              { return false }
func (c *Conn) wait(started bool) error  { return c.waitInRead(started) }
func (c *Conn) leave() (bool, error)     { return false, c.more(false) }
func (c *Conn) signal()                  {}
func (c *Conn) waits() bool              { return false }
func (c *Conn) leaveForGood()            {}
func (*park) promptWriter() promptWriter { return nil }

//go:build !linux && !darwin

package ws

import "net"

func newPark(net.Conn, *Options) park { return readPark{} }

// pollPark is none on this system.
type pollPark struct{ readPark }

func (*pollPark) parks() bool              { return false }
func (*pollPark) park(*Conn) (bool, error) { return false, nil }
func (*pollPark) signal()                  {}
func (*pollPark) closed()                  {}

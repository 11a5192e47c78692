//go:build !linux && !darwin

package ws

import "net"

func newPark(net.Conn) park { return readPark{} }

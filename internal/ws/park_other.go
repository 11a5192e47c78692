//go:build !linux && !darwin

package ws

import "net"

func newPark(net.Conn, *Options) park { return readPark{} }

//go:build !linux && !darwin

package ws

import "net"

// limitUnsent does nothing on systems whose kernel does not support it.
func limitUnsent(net.Conn) {}

// kernelWriter returns nil on systems where it is not known what the kernel
// accepts.
func kernelWriter(net.Conn) promptWriter { return nil }

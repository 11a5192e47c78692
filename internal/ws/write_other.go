//go:build !linux && !darwin

package ws

import "net"

// kernelWriter is nil where it cannot be told what the kernel takes.
func kernelWriter(net.Conn) promptWriter { return nil }

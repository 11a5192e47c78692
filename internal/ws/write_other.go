//go:build !linux && !darwin

package ws

import "net"

// limitUnsent does nothing where the kernel cannot be asked.
func limitUnsent(net.Conn) {}

// kernelWriter is nil where it cannot be told what the kernel takes.
func kernelWriter(net.Conn) promptWriter { return nil }

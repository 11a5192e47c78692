//go:build !linux

package ws

import "log/slog"

// Poller does nothing on this system: each connection waits in a goroutine.
type Poller struct{}

// NewPoller returns a Poller that accepts no connections.
func NewPoller(*slog.Logger) *Poller { return new(Poller) }

// Close does nothing.
func (p *Poller) Close() error { return nil }

func (p *Poller) ready() bool           { return false }
func (p *Poller) watch(int, *Conn) bool { return false }
func (p *Poller) forget(int, *Conn)     {}

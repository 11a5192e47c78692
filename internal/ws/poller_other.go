//go:build !linux

package ws

import "log/slog"

// Poller is none on this system: connections wait with a goroutine each.
type Poller struct{}

// NewPoller returns a Poller that takes no connections.
func NewPoller(*slog.Logger) *Poller { return new(Poller) }

// Close does nothing.
func (p *Poller) Close() error { return nil }

func (p *Poller) ready() bool          { return false }
func (p *Poller) watch(int, park) bool { return false }
func (p *Poller) forget(int, park)     {}

//go:build !socketcluster_elections

package cluster

import "time"

// A node looks after the groups so often, and leads a stream for so long without a
// majority. NATS elects another leader after 4 seconds at the earliest, and a route
// that is lost for a moment is back after one.
const (
	lookEvery = 250 * time.Millisecond
	aloneTime = 2 * time.Second
)

// elections holds none: NATS does. See elections_on.go.
type elections struct{}

func (*elections) open(*leadership) error { return nil }

func (*elections) look([]group, map[string]bool) {}

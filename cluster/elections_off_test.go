//go:build slow && !socketcluster_elections

package cluster_test

import "time"

// electionTime is the longest time without an acknowledgement after a leader has been
// killed. A publication may wait for as long, and ackExtra.
const (
	electionTime = 9 * time.Second
	ackExtra     = time.Second / 2
)

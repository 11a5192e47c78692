package brokertest

import (
	"testing"
	"testing/synctest"

	"github.com/socketcluster-go/socketcluster/broker"
)

// InBubble is TestBroker with each check in a synctest bubble, so that what never
// comes costs no time.
func InBubble(t *testing.T, newNodes func(t *testing.T) []broker.Broker) {
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { c.run(start(t, newNodes(t))) })
		})
	}
}

// Names are those of the checks.
func Names() []string {
	var all []string
	for _, c := range checks {
		all = append(all, c.name)
	}
	return all
}

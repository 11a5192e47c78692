package socketcluster_test

import (
	"fmt"
	"maps"
	"slices"

	"github.com/socketcluster-go/socketcluster"
)

// Each limit has a default and a counter. The counters tell which limit a
// server runs into, for alerts and for whoever exports metrics.
func ExampleServer_Stats() {
	srv := exampleServer(socketcluster.Config{
		Limits: socketcluster.Limits{
			Budget:   256 << 20, // bytes of all sockets together
			Channels: 1,
		},
	})
	client := connectExample(srv)
	defer client.close()
	client.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
	client.next()
	client.send(`{"event":"#subscribe","data":{"channel":"b"},"cid":3}`)
	client.next()

	stats := srv.Stats()
	fmt.Println("clients:", stats.Clients)
	for _, name := range slices.Sorted(maps.Keys(stats.LimitHits)) {
		if n := stats.LimitHits[name]; n > 0 {
			fmt.Println(name, n)
		}
	}
	// Output:
	// clients: 1
	// Limits.Channels 1
}

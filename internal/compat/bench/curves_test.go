//go:build linux

package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A curve of each kind, small, with all servers.
func TestDrawCurves(t *testing.T) {
	t.Parallel()
	env, client, err := makeCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	l := smallLoad()
	echo := find("echo")
	compressed := sizedScenario(1<<10, true)
	compressed.run = deliveryScenario(deliveries{
		clients: 3, each: 3, inFlight: 1, data: jsonString(1 << 10),
		channels: func(int) []string { return []string{"bench"} }, targets: []string{"bench"},
	}).run
	all := []curve{
		{"channels", "Channels", "channels", places(func(n int) scenario { return deliveryScenario(ownChannels(n, 2)) }, 1, 30)},
		{"handlers", "Handlers", "procedures", places(handlerScenario, 1, 5)},
		{"cases", "Cases", "", cases(
			point{label: "TCP", scenario: echo},
			point{label: "TLS", scenario: withTLS(echo, client, env)},
			point{label: "compressed", scenario: compressed},
		)},
	}
	dir := t.TempDir()
	var out strings.Builder
	if err := drawCurves(t.Context(), dir, all, allTargets, l, 1, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		picture, err := os.ReadFile(filepath.Join(dir, "curve-"+c.name+".svg"))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := strings.Count(string(picture), "<circle"), len(c.points)*len(allTargets); got != want {
			t.Errorf("%s has %d points, want %d", c.name, got, want)
		}
	}
	if !strings.Contains(out.String(), "\nHandlers (CPU µs per operation)\n\n| | go | centrifuge | js |\n|---|--:|--:|--:|\n| 1 | ") {
		t.Errorf("table:\n%s", out.String())
	}
}

// Each channel has its subscriber, whatever the number of clients.
func TestOwnChannels(t *testing.T) {
	for _, n := range []int{1, 10, 1000, 2500} {
		d := ownChannels(n, 1)
		seen := make(map[string]bool)
		for i := range d.clients {
			for _, channel := range d.channels(i) {
				if seen[channel] {
					t.Errorf("%d: %s twice", n, channel)
				}
				seen[channel] = true
			}
		}
		if len(seen) != n || len(d.targets) != n {
			t.Errorf("%d: %d channels, %d targets", n, len(seen), len(d.targets))
		}
	}
}

// The clients of a channel are as many as each says, and those of the next one
// are others.
func TestManyChannels(t *testing.T) {
	for _, n := range []int{4, 15, 1000} {
		d := manyChannels(n, 1)
		subscribers := make(map[string]map[int]bool)
		for i := range d.clients {
			for _, channel := range d.channels(i) {
				if subscribers[channel] == nil {
					subscribers[channel] = make(map[int]bool)
				}
				subscribers[channel][i] = true
			}
		}
		for i, channel := range d.targets {
			if len(subscribers[channel]) != d.each {
				t.Errorf("%d: %s has %d subscribers, want %d", n, channel, len(subscribers[channel]), d.each)
			}
			for client := range subscribers[channel] {
				if n > 2*channelsEach && subscribers[d.targets[(i+1)%n]][client] {
					t.Fatalf("%d: client %d has %s and the next one", n, client, channel)
				}
			}
		}
	}
}

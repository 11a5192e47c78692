//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// curve shows how a cost changes with one thing, or in a few cases.
type curve struct {
	name, title string
	x           string // what changes, or empty for cases
	points      []point
}

// point is one measurement of a curve.
type point struct {
	label string
	place float64
	scenario
}

// mostConnections is how many a curve has at most.
const mostConnections = 18_000

// curves are all that -curves measures. client and tlsEnv are for those of TLS,
// see makeCertificate.
func curves(l load, client *tls.Config, tlsEnv []string) []curve {
	return []curve{
		{"memory", "Memory of an idle connection with a token and a channel", "connections", places(
			idleScenario, 1000, 5000, 10_000, mostConnections)},
		{"subscribers", "A delivery, by the number of subscribers, one message in flight", "subscribers", places(
			func(n int) scenario { return deliveryScenario(oneChannel(n, 1)) }, 10, 100, 1000, 10_000)},
		{"channels", "A publication to one of many channels, each with one subscriber", "channels", places(
			func(n int) scenario { return deliveryScenario(ownChannels(n, l.publishWindow)) }, 1, 10, 100, 1000, 10_000, 100_000)},
		{"handlers", "An echo by one of many procedures, called in turn", "procedures", places(
			handlerScenario, 1, 10, 100, 1000)},
		{"tls", "TLS, against plain TCP", "", cases(
			point{label: "handshake", scenario: find("handshake-token")},
			point{label: "with TLS", scenario: withTLS(find("handshake-token"), client, tlsEnv)},
			point{label: "echo", scenario: find("echo")},
			point{label: "with TLS", scenario: withTLS(find("echo"), client, tlsEnv)},
			point{label: "delivery", scenario: find("fanout-1")},
			point{label: "with TLS", scenario: withTLS(find("fanout-1"), client, tlsEnv)},
		)},
		{"tls-memory", "Memory of an idle connection with a token and a channel, of 2,000", "", cases(
			point{label: "TCP", scenario: idleScenario(2000)},
			point{label: "TLS", scenario: withTLS(idleScenario(2000), client, tlsEnv)},
		)},
		{"compression", "A delivery to one of 1,000 subscribers, compressed or not, one message in flight", "", cases(
			point{label: "1 KB", scenario: sizedScenario(1<<10, false)},
			point{label: "1 KB, compressed", scenario: sizedScenario(1<<10, true)},
			point{label: "10 KB", scenario: sizedScenario(10<<10, false)},
			point{label: "10 KB, compressed", scenario: sizedScenario(10<<10, true)},
		)},
	}
}

func places(scenarioOf func(n int) scenario, numbers ...int) (all []point) {
	for _, n := range numbers {
		all = append(all, point{thousands(n), float64(n), scenarioOf(n)})
	}
	return all
}

func thousands(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

func cases(all ...point) []point { return all }

func find(name string) scenario {
	return scenarios[slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })]
}

func idleScenario(connections int) scenario {
	return scenario{unit: memoryUnit, run: func(ctx context.Context, s server, l load) (sample, error) {
		l.connections = connections
		return runIdle(ctx, s, l, 1)
	}}
}

func deliveryScenario(d deliveries) scenario {
	return scenario{unit: cpuTimeUnit, run: func(ctx context.Context, s server, l load) (sample, error) {
		return runDeliveries(ctx, s, l, d)
	}}
}

// ownChannels spreads channels over at most a thousand clients.
func ownChannels(channels, inFlight int) deliveries {
	clients := min(channels, 1000)
	d := deliveries{clients: clients, each: 1, inFlight: inFlight, data: payload}
	for i := range channels {
		d.targets = append(d.targets, fmt.Sprint("room/", i))
	}
	d.channels = func(client int) (own []string) {
		for i := client; i < channels; i += clients {
			own = append(own, d.targets[i])
		}
		return own
	}
	return d
}

func handlerScenario(handlers int) scenario {
	names := make([]string, handlers)
	for i := range names {
		names[i] = fmt.Sprint("echo.", i)
	}
	return scenario{
		unit: cpuTimeUnit,
		env:  func(load) []string { return []string{fmt.Sprint("HANDLERS=", handlers)} },
		run:  func(ctx context.Context, s server, l load) (sample, error) { return runCalls(ctx, s, l, names) },
	}
}

func withTLS(s scenario, client *tls.Config, env []string) scenario {
	s.tls = client
	s.env = func(load) []string { return env }
	return s
}

func sizedScenario(size int, compressed bool) scenario {
	d := oneChannel(1000, 1)
	d.data = jsonString(size)
	s := deliveryScenario(d)
	if s.deflate = compressed; compressed {
		s.env = func(load) []string { return []string{"COMPRESSION=1"} }
	}
	return s
}

var colors = map[string]string{"go": "#00758f", "centrifuge": "#b8860b", "js": "#8b2252"}

// runCurves draws the curves whose name matches into dir.
func runCurves(ctx context.Context, dir string, re *regexp.Regexp, targets []target, l load, rounds int, out, log io.Writer) error {
	temp, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	env, client, err := makeCertificate(temp)
	if err != nil {
		return err
	}
	selected, err := matching(re, curves(l, client, env), func(c curve) string { return c.name })
	if err != nil {
		return err
	}
	return drawCurves(ctx, dir, selected, targets, l, rounds, out, log)
}

// drawCurves measures curves, and writes each as a picture into dir and as a
// table to out.
func drawCurves(ctx context.Context, dir string, all []curve, targets []target, l load, rounds int, out, log io.Writer) error {
	for _, c := range all {
		picture := chart{title: c.title, x: c.x, y: string(c.points[0].unit) + c.per()}
		for _, t := range targets {
			picture.series = append(picture.series, series{name: t.name, color: colors[t.name]})
		}
		fmt.Fprintf(out, "%s (%s)\n\n| |%s\n|---|%s\n", c.title, picture.y, header(targets), strings.Repeat("--:|", len(targets)))
		for _, p := range c.points {
			p.name = c.name + ", " + p.label
			p.title = titled(p.name)
			r, err := measure(ctx, p.scenario, targets, l, rounds, log)
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			picture.labels = append(picture.labels, p.label)
			if c.x != "" {
				picture.places = append(picture.places, p.place)
			}
			fmt.Fprintf(out, "| %s |", p.label)
			for i, t := range targets {
				cost := r.Median[t.name].Cost
				picture.series[i].values = append(picture.series[i].values, cost)
				fmt.Fprintf(out, " %s |", significant(cost))
			}
			fmt.Fprintln(out)
		}
		fmt.Fprintln(out)
		if err := writeChart(filepath.Join(dir, "curve-"+c.name+".svg"), picture); err != nil {
			return err
		}
	}
	return nil
}

func (c curve) per() string {
	if c.points[0].unit == memoryUnit {
		return " per connection"
	}
	return " per operation"
}

func header(targets []target) string {
	var b strings.Builder
	for _, t := range targets {
		b.WriteString(" " + t.name + " |")
	}
	return b.String()
}

func writeChart(path string, c chart) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := c.writeSVG(file); err != nil {
		return err
	}
	return file.Close()
}

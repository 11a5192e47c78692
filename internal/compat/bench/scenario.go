//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
)

// server is a process under load.
type server struct {
	*proc.Process
	endpoint
}

func (s server) cpu() (time.Duration, error) { return cpuTime(s.Pid()) }

// scenario is one kind of load. run gets a fresh server.
type scenario struct {
	name  string
	title func(load) string
	unit  unit
	env   func(load) []string // further environment of the server
	run   func(context.Context, server, load) (sample, error)

	tls     *tls.Config // of the clients, see endpoint
	deflate bool
}

// unit is what a scenario measures.
type unit string

const (
	cpuTimeUnit unit = "CPU µs"
	memoryUnit  unit = "RSS KB"
)

var scenarios = []scenario{
	{
		name:  "handshake-token",
		title: titled("connect, handshake with HS256 token, close"),
		unit:  cpuTimeUnit,
		run:   handshakes(acceptedHandshake, func() string { return signToken("alice") }),
	},
	{
		name:  "handshake-expired",
		title: titled("connect, handshake with an expired token, close"),
		unit:  cpuTimeUnit,
		run:   handshakes(refusedHandshake, func() string { return expiredToken("alice") }),
	},
	{
		name:  "handshake-forged",
		title: titled("connect, handshake with a forged token, close"),
		unit:  cpuTimeUnit,
		run:   handshakes(refusedHandshake, func() string { return forgedToken("alice") }),
	},
	{
		name:  "handshake-anonymous",
		title: titled("connect, handshake without a token, close"),
		unit:  cpuTimeUnit,
		run:   handshakes(acceptedHandshake, func() string { return "" }),
	},
	{
		name: "echo",
		title: func(l load) string {
			return fmt.Sprintf("echo, %d connections × %d in flight", l.callers, l.callWindow)
		},
		unit: cpuTimeUnit,
		run:  runEcho,
	},
	{
		name: "publish",
		title: func(l load) string {
			return fmt.Sprintf("acknowledged publication, 1 subscriber, %d in flight", l.publishWindow)
		},
		unit: cpuTimeUnit,
		run:  runAcknowledged,
	},
	{
		name: "fanout-1",
		title: func(l load) string {
			return fmt.Sprintf("delivery to one of %d subscribers, 1 message in flight", l.subscribers)
		},
		unit: cpuTimeUnit,
		run: func(ctx context.Context, s server, l load) (sample, error) {
			return runDeliveries(ctx, s, l, oneChannel(l.subscribers, 1))
		},
	},
	{
		name: "fanout",
		title: func(l load) string {
			return fmt.Sprintf("delivery to one of %d subscribers, %d messages in flight", l.subscribers, l.publishWindow)
		},
		unit: cpuTimeUnit,
		run: func(ctx context.Context, s server, l load) (sample, error) {
			return runDeliveries(ctx, s, l, oneChannel(l.subscribers, l.publishWindow))
		},
	},
	{
		name: "channels",
		title: func(l load) string {
			return fmt.Sprintf("delivery, %d channels × %d subscribers, %d in flight", l.subscribers, channelsEach, l.publishWindow)
		},
		unit: cpuTimeUnit,
		run: func(ctx context.Context, s server, l load) (sample, error) {
			return runDeliveries(ctx, s, l, manyChannels(l.subscribers, l.publishWindow))
		},
	},
	{
		name: "ping",
		title: func(l load) string {
			return fmt.Sprintf("server ping answered, %d idle connections, every %v", l.pinged(), l.pingEvery)
		},
		unit: cpuTimeUnit,
		env:  func(l load) []string { return []string{fmt.Sprintf("PING_INTERVAL=%d", l.pingEvery.Milliseconds())} },
		run:  runPing,
	},
	{
		name: "return",
		title: func(l load) string {
			return fmt.Sprintf("%d clients return at once, token, %d channels each, per client", l.returning(), returningChannels)
		},
		unit: cpuTimeUnit,
		run:  runReturn,
	},
	{
		name:  "idle",
		title: func(l load) string { return fmt.Sprintf("idle connection with a token, of %d", l.connections) },
		unit:  memoryUnit,
		run:   func(ctx context.Context, s server, l load) (sample, error) { return runIdle(ctx, s, l, 0) },
	},
	{
		name: "idle-channel",
		title: func(l load) string {
			return fmt.Sprintf("idle connection with a token and one channel of its own, of %d", l.connections)
		},
		unit: memoryUnit,
		run:  func(ctx context.Context, s server, l load) (sample, error) { return runIdle(ctx, s, l, 1) },
	},
}

func titled(title string) func(load) string { return func(load) string { return title } }

// payloadSize is the size of all data, as JSON.
const payloadSize = 128

var payload = jsonString(payloadSize)

// jsonString returns a JSON string of n bytes, made of words, which compresses
// as text does.
func jsonString(n int) string {
	words := strings.Fields("the server sends a message to each client that has subscribed when somebody publishes one and waits")
	random := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(words[random.IntN(len(words))] + " " + strconv.Itoa(random.IntN(1000)) + " ")
	}
	return `"` + b.String()[:n-2] + `"`
}

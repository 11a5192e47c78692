//go:build race

package brokertest

// numChannels is smaller under the race detector, which makes it ten times as dear.
const numChannels = 10_000

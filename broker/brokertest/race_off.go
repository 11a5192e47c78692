//go:build !race

package brokertest

// numChannels is how many channels a broker must have room for.
const numChannels = 100_000

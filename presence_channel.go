package socketcluster

import "strings"

const presencePrefix = "presence/"

// PresenceChannel returns the name of the channel on which the joins and leaves
// of another channel are published: presence/ and the name of the other. Package
// cluster publishes them, and package rules decides who may subscribe.
func PresenceChannel(channel string) string { return presencePrefix + channel }

// PresenceOf returns the channel whose joins and leaves are published on the
// channel with the given name, as [PresenceChannel] makes it. ok is false for
// other names.
func PresenceOf(name string) (channel string, ok bool) {
	return strings.CutPrefix(name, presencePrefix)
}

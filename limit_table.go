package socketcluster

import (
	"cmp"
	"fmt"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/millis"
)

// limit is a setting that bounds clients. Each has a row in the table and a
// counter.
type limit uint8

const (
	limitConnections limit = iota
	limitConnectionsPerAddress
	limitPendingHandshakes
	limitBudget
	limitMessageSize
	limitHandshakeMessageSize
	limitFragments
	limitBatchSize
	limitDepth
	limitChannels
	limitChannelName
	limitSubscriptionData
	limitTokenSize
	limitInbox
	limitInboxBytes
	limitCalls
	limitOutbox
	limitOutboxDrain
	limitOutboxStall
	limitCallRate
	limitPublishRate
	limitSubscribeRate
	limitAuthenticateRate
	limitErrorText
	limitHandshakeTimeout
	limitPingTimeout
	limitCloseTimeout
	numLimits
)

// limitRow describes one limit.
type limitRow struct {
	name  string                 // of the setting in Config
	check func() (reason string) // sets the default, or returns what is wrong; nil if Config checks it
}

// table returns all limits with the settings in l. A default may depend on
// other settings.
func (l *Limits) table() [numLimits]limitRow {
	budget := cmp.Or(l.Budget, defaultBudget())
	connections := cmp.Or(l.Connections, min(max(budget/leastShare, 1), 250_000))
	message := cmp.Or(l.MessageSize, 1<<20)
	return [numLimits]limitRow{
		limitConnections:           {"Limits.Connections", count(&l.Connections, connections)},
		limitConnectionsPerAddress: {"Limits.ConnectionsPerAddress", count(&l.ConnectionsPerAddress, min(max(connections/4, 1), 10_000))},
		limitPendingHandshakes:     {"Limits.PendingHandshakes", count(&l.PendingHandshakes, 10_000)},
		limitBudget:                {"Limits.Budget", countFrom(leastShare, "as much as one connection needs", &l.Budget, budget)},
		limitMessageSize:           {"Limits.MessageSize", countFrom(leastMessage, "room for a handshake", &l.MessageSize, message)},
		limitHandshakeMessageSize:  {"Limits.HandshakeMessageSize", countFrom(leastMessage, "room for a handshake with a token", &l.HandshakeMessageSize, min(64<<10, message))},
		limitFragments:             {"Limits.Fragments", count(&l.Fragments, 4096)},
		limitBatchSize:             {"Limits.BatchSize", count(&l.BatchSize, 5000)},
		limitDepth:                 {"Limits.Depth", countFrom(leastDepth, "that of a batch of calls", &l.Depth, 1000)},
		limitChannels:              {"Limits.Channels", count(&l.Channels, 1000)},
		limitChannelName:           {"Limits.ChannelName", count(&l.ChannelName, min(1024, message))},
		limitSubscriptionData:      {"Limits.SubscriptionData", count(&l.SubscriptionData, min(16<<10, message))},
		limitTokenSize:             {"Limits.TokenSize", count(&l.TokenSize, 16<<10)},
		limitInbox:                 {"Limits.Inbox", count(&l.Inbox, 256)},
		limitInboxBytes:            {"Limits.InboxBytes", count(&l.InboxBytes, 4<<20)},
		limitCalls:                 {"Limits.Calls", count(&l.Calls, 256)},
		limitOutbox:                {"Limits.Outbox", count(&l.Outbox, max(2<<20, 2*message))},
		limitOutboxDrain:           {"Limits.OutboxDrain", period(&l.OutboxDrain, 30*time.Second)},
		limitOutboxStall:           {"Limits.OutboxStall", period(&l.OutboxStall, 10*time.Second)},
		limitCallRate:              {"Limits.CallRate", count(&l.CallRate, 10_000)},
		limitPublishRate:           {"Limits.PublishRate", count(&l.PublishRate, 10_000)},
		limitSubscribeRate:         {"Limits.SubscribeRate", count(&l.SubscribeRate, 1000)},
		limitAuthenticateRate:      {"Limits.AuthenticateRate", count(&l.AuthenticateRate, 10)},
		limitErrorText:             {"Limits.ErrorText", count(&l.ErrorText, 256)},
		limitHandshakeTimeout:      {name: "Timeouts.Handshake"},
		limitPingTimeout:           {name: "Timeouts.Ping"},
		limitCloseTimeout:          {name: "Timeouts.Close"},
	}
}

var limitTable = new(Limits).table()

// String returns the name of the setting in [Config].
func (l limit) String() string { return limitTable[l].name }

// count checks a number.
func count(value *int, fallback int) func() string { return countFrom(0, "", value, fallback) }

// countFrom checks a number that must be at least least, for the reason why,
// unless it is the default.
func countFrom(least int, why string, value *int, fallback int) func() string {
	return func() string {
		switch {
		case *value < 0:
			return fmt.Sprintf("is %d; it must not be negative", *value)
		case *value == 0:
			*value = fallback
		case *value < least:
			return fmt.Sprintf("is %d; it must be at least %d, which is %s", *value, least, why)
		}
		return ""
	}
}

// period checks a duration.
func period(value *time.Duration, fallback time.Duration) func() string {
	return func() string {
		if *value < 0 {
			return fmt.Sprintf("is %v; it must not be negative", *value)
		}
		*value = cmp.Or(*value, fallback)
		return millis.Reason(*value)
	}
}

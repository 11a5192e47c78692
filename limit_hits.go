package socketcluster

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// limit is a setting that bounds clients and has a counter.
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

// String is the name of the setting in [Config].
func (l limit) String() string {
	return [...]string{
		"Limits.Connections",
		"Limits.ConnectionsPerAddress",
		"Limits.PendingHandshakes",
		"Limits.Budget",
		"Limits.MessageSize",
		"Limits.HandshakeMessageSize",
		"Limits.Fragments",
		"Limits.BatchSize",
		"Limits.Depth",
		"Limits.Channels",
		"Limits.ChannelName",
		"Limits.SubscriptionData",
		"Limits.TokenSize",
		"Limits.Inbox",
		"Limits.InboxBytes",
		"Limits.Calls",
		"Limits.Outbox",
		"Limits.OutboxDrain",
		"Limits.OutboxStall",
		"Limits.CallRate",
		"Limits.PublishRate",
		"Limits.SubscribeRate",
		"Limits.AuthenticateRate",
		"Limits.ErrorText",
		"HandshakeTimeout",
		"PingTimeout",
		"CloseTimeout",
	}[l]
}

// limitHits counts how often each limit was reached.
type limitHits struct {
	count [numLimits]atomic.Uint64
	told  [numLimits]seldom // whether the log is
}

// seldom lets something happen once a second: strangers must not fill the log.
type seldom struct{ last atomic.Int64 } // server clock

func (s *seldom) allow(now time.Duration) bool {
	last := s.last.Load()
	if last != 0 && int64(now)-last < int64(time.Second) {
		return false
	}
	return s.last.CompareAndSwap(last, max(int64(now), 1))
}

// hit counts that a limit was reached.
func (srv *Server) hit(l limit) { srv.hits.count[l].Add(1) }

// hitLogged is hit with a line in the log, once a second for each limit at
// most. The counter knows of the others.
func (srv *Server) hitLogged(l limit, message string, attrs ...slog.Attr) {
	srv.hit(l)
	if !srv.hits.told[l].allow(srv.clock()) {
		return
	}
	attrs = append(attrs, slog.String("limit", l.String()))
	srv.log.LogAttrs(context.Background(), slog.LevelWarn, message, attrs...)
}

// clock is the time since the server was made.
func (srv *Server) clock() time.Duration { return time.Since(srv.epoch) }

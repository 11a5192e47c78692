package main

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/socketcluster-go/socketcluster"
)

// serverSetting is a setting for a field of [socketcluster.Config]. The help of
// one for a number or a time begins with its unit.
type serverSetting struct{ field, name, help string }

var tokenSettings = []serverSetting{
	{"AuthMaxAge", "auth-max-age", "time after a login in which its token may be renewed; without it, any"},
	{"Auth.ClockTolerance", "clock-tolerance", "time by which the clocks of others that sign tokens may differ, at most 1m"},
	{"Compat.TokenAfterAnswer", "token-after-answer", "send the token of a login after the answer to it, for pages that wait for the token after the call"},
}

var connectionSettings = []serverSetting{
	{"TrustedProxies", "trusted-proxies", "`addresses` or networks of your proxies, such as 10.0.0.0/8,::1; their header X-Forwarded-For is believed, and behind a proxy that is not named all clients share the limits of one address; unix stands for a proxy that connects over a Unix socket"},
	{"Origins", "origins", "`origins` of pages that may connect, such as https://example.com, or hosts with ports, in which either part may be *; without it, all may; with it, clients that are not browsers need --allow-missing-origin"},
	{"AllowMissingOrigin", "allow-missing-origin", "admit clients that send no Origin header, although --origins is set"},
	{"Protocol1Path", "protocol1-path", "second `path`, for clients up to v14, such as /socketcluster-v1/"},
	{"Compression.Level", "compression-level", "level of compression for clients that offer it, from 1, the fastest, to 9; without it, there is none"},
	{"Compression.Threshold", "compression-threshold", "bytes of the smallest message that is compressed"},
	{"Timeouts.Handshake", "handshake-timeout", "time from the upgrade to the end of the handshake"},
	{"Timeouts.PingInterval", "ping-interval", "time between two pings to a client"},
	{"Timeouts.Ping", "ping-timeout", "time that a client may be silent"},
	{"Timeouts.Close", "close-timeout", "time that a client may take to close its connection"},
	{"Timeouts.Reauthorize", "reauthorize-timeout", "time in which the rules must approve subscriptions again after the token has changed"},
	{"Timeouts.Shutdown", "shutdown-timeout", "time that clients have to leave when the server stops, less than that after which it is killed; many clients are closed in batches"},
	{"DrainRate", "drain-rate", "clients that are closed in each second when the server stops"},
}

var limitSettings = []serverSetting{
	{"Limits.Connections", "limits-connections", "connections in all; more get a 503"},
	{"Limits.ConnectionsPerAddress", "limits-connections-per-address", "connections of one client address; more get a 503"},
	{"Limits.PendingHandshakes", "limits-pending-handshakes", "connections whose handshake has not ended; more get a 503"},
	{"Limits.Budget", "limits-budget", "bytes that are held for all clients together; those that hold the most are disconnected"},
	{"Limits.MessageSize", "limits-message-size", "bytes of a message from a client; a larger one closes the connection"},
	{"Limits.HandshakeMessageSize", "limits-handshake-message-size", "bytes of a message before the end of the handshake"},
	{"Limits.Fragments", "limits-fragments", "fragments of a message"},
	{"Limits.BatchSize", "limits-batch-size", "packets in one message"},
	{"Limits.Depth", "limits-depth", "levels of nested JSON in a message"},
	{"Limits.Channels", "limits-channels", "channels to which one client is subscribed"},
	{"Limits.ChannelName", "limits-channel-name", "bytes of the name of a channel"},
	{"Limits.SubscriptionData", "limits-subscription-data", "bytes of the data option of a subscription"},
	{"Limits.TokenSize", "limits-token-size", "bytes of a token"},
	{"Limits.Inbox", "limits-inbox", "messages of one client that wait for their turn; then the server stops reading"},
	{"Limits.InboxBytes", "limits-inbox-bytes", "bytes from one client that wait or are in handlers; then the server stops reading"},
	{"Limits.Calls", "limits-calls", "calls of one client that are in handlers; others wait"},
	{"Limits.Outbox", "limits-outbox", "bytes that wait for a client before senders wait"},
	{"Limits.OutboxDrain", "limits-outbox-drain", "time in which a client must reduce what waits to limits-outbox"},
	{"Limits.OutboxStall", "limits-outbox-stall", "time that a client may accept nothing while something waits"},
	{"Limits.CallRate", "limits-call-rate", "calls of one client in a second; others wait"},
	{"Limits.PublishRate", "limits-publish-rate", "publications of one client in a second; others wait"},
	{"Limits.SubscribeRate", "limits-subscribe-rate", "subscriptions of one client in a second, and their ends; others wait"},
	{"Limits.AuthenticateRate", "limits-authenticate-rate", "tokens of one client in a second, and logouts; others wait"},
	{"Limits.ErrorText", "limits-error-text", "bytes of the message of an error for a client"},
}

// server adds flags for fields of cfg. Without a flag a field stays zero, which
// is the default that the help shows.
func (g flagGroup) server(cfg *socketcluster.Config, settings []serverSetting) flagGroup {
	defaults := socketcluster.DefaultConfig()
	for _, s := range settings {
		switch p := fieldOf(cfg, s.field).Addr().Interface().(type) {
		case *bool:
			g.BoolVar(p, s.name, false, s.help)
		case *int:
			g.IntVar(p, s.name, 0, s.help)
		case *string:
			g.StringVar(p, s.name, "", s.help)
		case *time.Duration:
			g.DurationVar(p, s.name, 0, s.help)
		case *[]string:
			g.list(p, s.name, s.help)
		}
		if value := fieldOf(&defaults, s.field); !value.IsZero() {
			g.Lookup(s.name).DefValue = fmt.Sprint(value)
		}
	}
	return g
}

// fieldOf finds a field such as Limits.Depth.
func fieldOf(cfg *socketcluster.Config, path string) reflect.Value {
	v := reflect.ValueOf(cfg).Elem()
	for name := range strings.SplitSeq(path, ".") {
		v = v.FieldByName(name)
	}
	return v
}

// settingOf returns the setting for a field of [socketcluster.Config], or "" if
// there is none.
func settingOf(field string) string {
	switch field {
	case "Auth.Key":
		return authKeySetting
	case "Auth.DefaultExpiry", "TokenRenewal.ExpiresIn":
		return expirySetting
	case "TokenRenewal.Every":
		return renewalSetting
	}
	for _, table := range [][]serverSetting{tokenSettings, connectionSettings, limitSettings} {
		for _, s := range table {
			if s.field == field {
				return s.name
			}
		}
	}
	return ""
}

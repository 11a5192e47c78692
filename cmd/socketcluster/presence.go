package main

import (
	"fmt"
	"strings"

	"github.com/socketcluster-go/socketcluster/cluster"
	"github.com/socketcluster-go/socketcluster/rules"
)

// presencePatterns reports by their names which channels have presence.
func (o *options) presencePatterns() (func(channel string) bool, error) {
	var list []rules.Rule
	if o.cluster.presence != "" {
		for pattern := range strings.SplitSeq(o.cluster.presence, ",") {
			list = append(list, rules.Rule{Channel: strings.TrimSpace(pattern), Presence: rules.Anyone})
		}
	}
	set, err := rules.New(list...)
	if err != nil {
		return nil, o.placed(presenceSetting, fmt.Errorf("the setting %s: %w", presenceSetting, err))
	}
	return func(channel string) bool { return set.Decide(rules.Presence, channel, nil).Allowed }, nil
}

// keepPresence makes the node know who is in the channels that are set. The rules say
// who may see it.
func (d *demo) keepPresence(channels func(channel string) bool, set *rules.Set) error {
	presence, err := cluster.NewPresence(d.node, d.sockets, cluster.PresenceOptions{Channels: channels, May: set.MaySee})
	if err != nil {
		return err
	}
	d.sockets.Handle("presence", presence.Handler())
	return nil
}

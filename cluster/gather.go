package cluster

import (
	"time"

	"github.com/nats-io/nats.go"
)

// gather asks the other nodes on a subject, and passes their answers to got until that
// returns true or the wait is over. Each gives one answer at most. What is asked of sockets,
// and may take time, goes by users.ask.
func (n *Node) gather(subject string, question []byte, wait time.Duration, got func(*nats.Msg) (enough bool)) {
	inbox := n.nc.NewInbox()
	sub, err := n.nc.SubscribeSync(inbox)
	if err != nil {
		return
	}
	defer func() { _ = sub.Unsubscribe() }()
	if n.nc.PublishRequest(n.subject(subject), inbox, question) != nil {
		return
	}
	for deadline := time.Now().Add(wait); ; {
		msg, err := sub.NextMsg(time.Until(deadline))
		if err != nil || got(msg) {
			return
		}
	}
}

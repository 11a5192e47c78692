package client

import (
	"encoding/json"
	"strings"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/broker"
)

// Publications of a channel that keeps them have positions. The client remembers that of
// the last one that it has got of each channel, and asks for what came after it when
// it subscribes again with the next connection.

// resume takes the answer to a subscription. What the client has missed has come before it,
// and so may others that were published meanwhile. The client's mu must be held.
func (ch *channel) resume(c *Client, answer json.RawMessage) {
	var a struct {
		Position string       `json:"position"`
		Lost     *broker.Lost `json:"lost"`
	}
	if len(answer) == 0 || json.Unmarshal(answer, &a) != nil || !isPosition(a.Position) {
		ch.position = "" // nothing is kept
		return
	}
	if newer(a.Position, ch.position) || a.Lost != nil && ch.position == ch.asked {
		ch.position = a.Position
	}
	if a.Lost != nil {
		ch.lose(c, *a.Lost)
	}
}

// advance takes the position of a publication, "" for none. It returns false for one that
// the client has had.
func (ch *channel) advance(position string) bool {
	if !isPosition(position) {
		return true
	}
	if !newer(position, ch.position) {
		return false
	}
	ch.position = position
	return true
}

// lose tells what is lost. The client's mu must be held.
func (ch *channel) lose(c *Client, l broker.Lost) {
	c.emit(LostEvent{c, ch.name, l.From, l.To, ch.position})
	for _, sub := range ch.subs {
		if sub.loop != nil {
			sub.loop.Write(message{lost: &socketcluster.LostError{Channel: ch.name, From: l.From, To: l.To, Position: ch.position}}, publicationCost)
		}
	}
}

// takeLost handles #lost.
func (c *Client) takeLost(l *link, data []byte) {
	var report struct {
		Channel  *string     `json:"channel"`
		Position string      `json:"position"`
		Lost     broker.Lost `json:"lost"`
	}
	if json.Unmarshal(data, &report) != nil || report.Channel == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	ch := c.channelOf(*report.Channel)
	if l.ended || ch == nil {
		return
	}
	if isPosition(report.Position) {
		ch.position = report.Position
	}
	ch.lose(c, report.Lost)
}

// maxPosition is the length of the longest position that the client keeps.
const maxPosition = 128

// isPosition reports whether a text is a position: of which history it is, its number there
// in digits and letters, and a time.
func isPosition(text string) bool {
	_, number := cutPosition(text)
	return number != "" && len(text) <= maxPosition
}

func cutPosition(text string) (epoch, number string) {
	epoch, rest, _ := strings.Cut(text, ".")
	number, _, _ = strings.Cut(rest, ".")
	return epoch, number
}

// newer compares a position with one that is known, or with none. Those of another
// history are newer.
func newer(position, known string) bool {
	epoch, a := cutPosition(position)
	knownEpoch, b := cutPosition(known)
	switch {
	case known == "" || epoch != knownEpoch:
		return true
	case len(a) != len(b):
		return len(a) > len(b)
	}
	return a > b
}

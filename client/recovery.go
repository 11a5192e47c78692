package client

import (
	"encoding/json"
	"strings"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/broker"
)

// Publications of a channel that keeps them have positions. The client remembers that of
// the last one that it has got of each channel, and asks for what came after it when
// it subscribes again with the next connection. What is lost is in the answer, which comes
// behind what is not. So if the connection ends between them, the client asks again from where
// it was before, and drops what it has had.

// resume takes the answer to a subscription. What the client has missed has come before it,
// and so may others that were published meanwhile. It returns what OnLost tells, or nil. The
// client's mu must be held.
func (ch *channel) resume(c *Client, answer json.RawMessage) *socketcluster.LostError {
	var a struct {
		Position string       `json:"position"`
		Lost     *broker.Lost `json:"lost"`
	}
	asked := ch.asked
	ch.asked = ""
	if len(answer) == 0 || json.Unmarshal(answer, &a) != nil || !isPosition(a.Position) {
		ch.position = "" // nothing is kept
		if ch.known {
			return &socketcluster.LostError{Channel: ch.name}
		}
		return nil
	}
	if newer(a.Position, ch.position) || a.Lost != nil && ch.position == asked {
		ch.position = a.Position
	}
	if a.Lost != nil {
		return ch.lose(c, *a.Lost)
	}
	return nil
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

// lose tells what is lost, by an event and to loops, and returns it for OnLost. The
// client's mu must be held.
func (ch *channel) lose(c *Client, l broker.Lost) *socketcluster.LostError {
	c.emit(LostEvent{c, ch.name, l.From, l.To, ch.position})
	lost := func() *socketcluster.LostError { // each reader has its own
		return &socketcluster.LostError{Channel: ch.name, From: l.From, To: l.To, Position: ch.position}
	}
	for _, sub := range ch.subs {
		if sub.loop != nil {
			sub.loop.Write(message{lost: lost()}, publicationCost)
		}
	}
	return lost()
}

// lostFuncs returns the functions of OnLost. The client's mu must be held.
func (ch *channel) lostFuncs() (fns []func(*socketcluster.LostError)) {
	for _, sub := range ch.subs {
		if sub.onLost != nil {
			fns = append(fns, sub.onLost)
		}
	}
	return fns
}

// callLost passes what is lost to functions of OnLost. Neither the client's mu nor feeding
// may be held.
func (c *Client) callLost(fns []func(*socketcluster.LostError), lost *socketcluster.LostError) {
	if lost == nil || len(fns) == 0 {
		return // without a wait for a function that is slow
	}
	c.feeding.Lock()
	defer c.feeding.Unlock()
	callFuncs(c, fns, lost)
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
	ch := c.channelOf(*report.Channel)
	if l.ended || ch == nil {
		c.mu.Unlock()
		return
	}
	if isPosition(report.Position) {
		ch.position = report.Position
	}
	lost, fns := ch.lose(c, report.Lost), ch.lostFuncs()
	c.mu.Unlock()
	c.callLost(fns, lost)
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

package cluster

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Position is a place in the history of a channel: that of a publication, or the end
// of an empty history.
type Position struct {
	// Epoch changes when all histories have been lost, or moved.
	Epoch string

	// Seq orders the publications of a channel, with gaps. It is 0 in an empty
	// history.
	Seq uint64

	// Time is when the publication was stored, or the history was found empty, to
	// the millisecond.
	Time time.Time
}

// String returns what ParsePosition reads. It consists of letters, digits, - and dots,
// and begins with the epoch.
func (p Position) String() string {
	return p.Epoch + "." + strconv.FormatUint(p.Seq, 36) + "." + strconv.FormatInt(p.Time.UnixMilli(), 36)
}

// ErrPosition is the error of a position that is none.
var ErrPosition = errors.New("cluster: this is not a position in a history")

// maxPosition is the length of the longest position.
const maxPosition = 64

// ParsePosition returns the position that a text from String means, or
// [ErrPosition].
func ParsePosition(text string) (Position, error) {
	parts := strings.Split(text, ".")
	if len(text) > maxPosition || len(parts) != 3 || parts[0] == "" {
		return Position{}, ErrPosition
	}
	seq, err1 := strconv.ParseUint(parts[1], 36, 64)
	at, err2 := strconv.ParseInt(parts[2], 36, 64)
	p := Position{parts[0], seq, time.UnixMilli(at)}
	if err1 != nil || err2 != nil || p.String() != text {
		return Position{}, ErrPosition
	}
	return p, nil
}

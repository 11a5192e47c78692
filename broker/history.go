package broker

import "context"

// A Historian is a broker some of whose channels keep publications. Its methods are safe
// for concurrent use.
type Historian interface {
	// Keeps reports whether a channel keeps its publications, so that publishing may wait for
	// the storage. It is always the same for a channel, and must not block.
	Keeps(channel string) bool

	// PublishOnce is Publish for a publication with an id of its publisher, or with
	// none, which is "". It returns the position of the publication once it is kept,
	// or "" for a channel that keeps nothing, where ids mean nothing. If a publication
	// with the id has just been kept on the channel, it is not kept or delivered again,
	// and the position is that of the first. The broker says for how long it knows ids.
	PublishOnce(ctx context.Context, channel, id string, data []byte) (position string, err error)

	// Join calls enter with what a new subscriber of a channel has missed. What enter
	// makes a subscriber begins behind it: no publication comes in between, and none
	// twice. The node must have subscribed to the channel. If Join returns an error,
	// it has not called enter, otherwise once. enter must not block. For a
	// channel that keeps nothing, the Past is empty. After a [context.DeadlineExceeded],
	// also of Subscribe, the server tries again while the subscriber is there.
	Join(ctx context.Context, channel string, from From, enter func(Past)) error

	// History returns the last publications of a channel, oldest first, count of
	// them if there are so many. It fails for a channel that keeps nothing.
	History(ctx context.Context, channel string, count int) (Past, error)
}

// A PositionSink is a sink that wants to know where its channels are. Like Deliver, its methods
// must not block.
type PositionSink interface {
	Sink

	// DeliverAt is called in place of Deliver for a publication that has a position.
	DeliverAt(channel, position string, data []byte)

	// Lose reports that publications of a channel will not be delivered on this node,
	// in the place where they would have been. position is where the channel is
	// then, "" if it keeps nothing. A broker that can tell, calls it.
	Lose(channel, position string, lost Lost)
}

// From is where a subscriber wants to begin.
type From struct {
	Since     string // after this position; "": it has none
	Including bool   // with the publication at that position
	Last      int    // without a position, with so many of the last publications
	Bytes     int    // it has no use for more data of the past, in bytes; what goes therefore is Lost. 0: for all
}

// Past is a part of the history of a channel.
type Past struct {
	Publications []Publication // oldest first
	Lost         *Lost         // what is missing before them; nil if nothing is
	Begin        string        // the position that they come after
	Position     string        // that of the last one, or Begin; "" if the channel keeps nothing
}

// Publication is one that a channel has kept.
type Publication struct {
	Position string
	Data     []byte // one JSON value, or nil if the publisher gave none
}

// Lost is what is gone from a history: the first and the last number of it, both 0 if
// that is unknown.
type Lost struct {
	From uint64 `json:"from,omitempty"`
	To   uint64 `json:"to,omitempty"`
}

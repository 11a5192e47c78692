package cluster

import "context"

// What the reads of histories of a node hold at the same time, in bytes of publications, is
// maxReading at most: others wait. One read keeps maxRead, and older publications
// count as lost. So that many small ones find room, each begins with shortRead, and begins
// anew if that is too little.
const (
	maxReading = 64 << 20
	maxRead    = 16 << 20
	shortRead  = 1 << 20
)

// roomUnit is what a room counts in, in bytes.
const roomUnit = 256 << 10

// room bounds what is held at the same time.
type room struct {
	turn  chan struct{} // one waits for units, and others for it: in order, and none holds a part
	units chan struct{}
}

func newRoom(bytes int) *room {
	return &room{turn: make(chan struct{}, 1), units: make(chan struct{}, bytes/roomUnit)}
}

// enter waits for room for so many bytes, or for all of it if they are more. leave gives it back.
func (r *room) enter(ctx context.Context, bytes int) (leave func(), err error) {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	held := 0
	leave = func() {
		for range held {
			<-r.units
		}
	}
	for need := min((bytes+roomUnit-1)/roomUnit, cap(r.units)); held < need; held++ {
		select {
		case r.units <- struct{}{}:
		case <-ctx.Done():
			leave()
			return nil, ctx.Err()
		}
	}
	return leave, nil
}

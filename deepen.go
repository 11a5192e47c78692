package socketcluster

// deepen makes the stack of its caller's goroutine large enough for handling a message,
// in one step and while there is little on it. Otherwise the stack would be doubled
// twice, in the depth of the handling, and each time copied frame by frame.
//
//go:noinline
func deepen(room bool) {
	if room { // never: only the frame counts
		var frame [stackRoom]byte
		occupy(&frame)
	}
}

//go:noinline
func occupy(frame *[stackRoom]byte) { frame[0] = 1 }

// stackRoom is what a stack of 8 KiB has room for besides, and one of 4 KiB has not.
const stackRoom = 5 << 10

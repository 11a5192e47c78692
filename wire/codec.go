package wire

// A Codec is another form of messages than JSON text. Both sides must be set
// to it, as it is not negotiated. Pings of version 2 stay as they are. Those of
// version 1 are also encoded, for clients of v5.1 to v14.
//
// It translates whole messages from and to JSON, so that nothing else has to
// know of it. Its methods may be called from many goroutines at once. They
// append to dst, and keep neither it nor the message.
type Codec interface {
	// Encode appends a message that is given as JSON: a packet, or an array of
	// packets; or one of the strings "#1" and "#2", ping and pong of version 1. If
	// it fails for these, all clients get plain ones.
	Encode(dst, message []byte) ([]byte, error)

	// Decode appends a message as JSON. It is given what a stranger has sent,
	// and fails with [ErrMessageTooLarge] when that comes to more than limit
	// bytes of JSON. Any other error means that it is no message of the codec.
	Decode(dst, message []byte, limit int) ([]byte, error)

	// Binary reports whether encoded messages are binary; otherwise they are
	// text in UTF-8.
	Binary() bool
}

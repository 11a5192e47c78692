package wire

// A Codec encodes messages in another form than JSON text. Both sides must be
// configured to use it, because it is not negotiated. Pings of version 2 are
// not encoded. Those of version 1 are, for clients of v5.1 to v14.
//
// It translates whole messages from and to JSON, so the rest of the server does
// not depend on it. Its methods may be called from many goroutines at once.
// They append to dst, and keep neither dst nor the message.
type Codec interface {
	// Encode appends a message that is given as JSON: a packet, an array of
	// packets, or one of the strings "#1" and "#2", the ping and pong of
	// version 1. If it fails for these strings, all clients get plain ones.
	Encode(dst, message []byte) ([]byte, error)

	// Decode appends a message as JSON. The message comes from a stranger.
	// Decode fails with [ErrMessageTooLarge] if the JSON has more than limit
	// bytes. Any other error means that it is not a message of the codec.
	Decode(dst, message []byte, limit int) ([]byte, error)

	// Binary reports whether encoded messages are binary; otherwise they are
	// text in UTF-8.
	Binary() bool
}

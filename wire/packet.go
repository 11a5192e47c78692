package wire

import "errors"

// Kind is the classification of one inbound packet.
type Kind uint8

const (
	// KindRaw is anything that is not a packet. Treat the whole message as a
	// raw message.
	KindRaw Kind = iota
	// KindTransmit is an event that expects no answer.
	KindTransmit
	// KindInvoke is an event with a numeric cid: a remote procedure call.
	KindInvoke
	// KindResponse answers a call, by numeric rid.
	KindResponse
)

// String returns the name of the kind for logs.
func (k Kind) String() string {
	switch k {
	case KindTransmit:
		return "transmit"
	case KindInvoke:
		return "invoke"
	case KindResponse:
		return "response"
	default:
		return "raw"
	}
}

// Packet is one decoded packet. Its slices alias the message or the decoder.
type Packet struct {
	Kind  Kind
	Event []byte  // unescaped name of a transmit or an invoke
	ID    float64 // cid of an invoke, rid of a response; may be infinite, never NaN
	Data  []byte  // raw JSON; nil when the key is absent, "null" when it is null
	Error []byte  // raw JSON of a response's error; nil when the key is absent
}

// MaxDepth is the deepest nesting that can be decoded.
const MaxDepth = 10000

// Limits bounds the cost of one message. The zero value sets no bound except
// [MaxDepth].
type Limits struct {
	// BatchSize is the maximum number of elements in a batch; 0 means no limit.
	BatchSize int
	// Depth is the deepest allowed nesting of objects and arrays, the packet and
	// the array of a batch included. 0 and values above MaxDepth mean MaxDepth.
	Depth int
}

// Errors of [Decoder.Reset].
var (
	// ErrBatchTooLarge reports a batch with more elements than Limits.BatchSize.
	ErrBatchTooLarge = errors.New("wire: batch has too many packets")
	// ErrMessageTooLarge reports a message whose JSON is larger than the limit
	// of Codec.Decode.
	ErrMessageTooLarge = errors.New("wire: message is too large")
	// ErrTooDeep reports a message that is nested deeper than Limits.Depth.
	ErrTooDeep = errors.New("wire: message is nested too deeply")
)

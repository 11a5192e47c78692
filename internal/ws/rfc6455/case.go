package rfc6455

import "fmt"

const (
	// Limit is the maximum size of a message in bytes.
	Limit = 1 << 20
	// Fragments is the maximum number of frames of a message.
	Fragments = 4096
)

// Close codes of RFC 6455, section 7.4.1.
const (
	closeNormal   = 1000
	closeProtocol = 1002
	closeNoStatus = 1005 // stands for a close frame without a code
	closeInvalid  = 1007
	closeTooBig   = 1009
)

// Mode is the set of connections to which a case applies.
type Mode uint8

const (
	Always     Mode = iota
	Plain           // only without an extension
	Compressed      // only with permessage-deflate
)

// Case is one stream of frames and the replies to it.
type Case struct {
	Number string // such as "2.7"
	Name   string
	Rule   string // the section of the RFC, such as "5.5.2"
	Mode   Mode
	Stream []byte // what the client sends
	// Piece is the number of bytes that arrive at a time; 0 means all at once.
	Piece int
	// Replies are the replies before the close frame.
	Replies []Reply
	// Code is the code of the server's close frame, 1005 for one without a
	// code.
	Code int
}

// Reply is a frame of the server: the echo of a message, or a pong.
type Reply struct {
	Op      byte
	Payload string
}

// String shortens long payloads.
func (r Reply) String() string {
	if len(r.Payload) > 40 {
		return fmt.Sprintf("%#x with %d bytes %q…", r.Op, len(r.Payload), r.Payload[:40])
	}
	return fmt.Sprintf("%#x with %q", r.Op, r.Payload)
}

// Cases returns the whole table.
func Cases() []Case {
	var all []Case
	for i, topic := range []func(*table){
		framing, pings, reservedBits, reservedOpcodes, fragments, utf8Texts, closing, sizes, compression,
	} {
		t := table{topic: i + 1}
		topic(&t)
		all = append(all, t.cases...)
	}
	return all
}

// table collects the cases of a topic.
type table struct {
	topic int
	cases []Case
}

func (t *table) add(c Case) {
	c.Number = fmt.Sprintf("%d.%d", t.topic, len(t.cases)+1)
	t.cases = append(t.cases, c)
}

// good adds a case that ends with the closing handshake of the client.
func (t *table) good(rule, name string, stream []byte, replies ...Reply) {
	t.pieces(0, rule, name, stream, replies...)
}

// pieces is good for a stream that arrives in pieces.
func (t *table) pieces(piece int, rule, name string, stream []byte, replies ...Reply) {
	if piece > 0 {
		name = fmt.Sprintf("%s, %d bytes at a time", name, piece)
	}
	t.add(Case{Name: name, Rule: rule, Stream: join(stream, bye), Piece: piece, Replies: replies, Code: closeNormal})
}

// bad adds a case that the server ends, whatever follows the stream.
func (t *table) bad(rule, name string, code int, stream []byte, replies ...Reply) {
	t.add(Case{Name: name, Rule: rule, Stream: stream, Replies: replies, Code: code})
}

// only restricts the last case.
func (t *table) only(m Mode) { t.cases[len(t.cases)-1].Mode = m }

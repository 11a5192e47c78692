package presence

import (
	"encoding/binary"
	"errors"
)

// The kinds of messages.
const (
	kindDelta    = 'd' // changes of the sender's rows
	kindBeat     = 'b' // what the sender's rows are, in short
	kindAsk      = 'a' // the sender wants all rows of the receiver
	kindSnapshot = 's' // a part of all rows of the sender
	kindClaim    = 'c' // the sender runs the hooks of leaves
	kindDone     = 'e' // the sender has run them
)

// message is what nodes tell each other about presence. It is encoded as
// bytes, not JSON, because names may be no valid UTF-8, which JSON would change.
type message struct {
	kind     byte
	node     string // the name of the sender
	instance string
	seq      uint64   // of the sender's deltas: that of this one, or of the last before
	count    uint64   // beat: the number of rows; snapshot: the number of the part, from 0
	digest   uint64   // beat
	last     bool     // snapshot: this is the last part
	changes  []change // delta and snapshot
	leaves   []Who    // claim and done
}

// change is a row that a node has now, or no longer.
type change struct {
	Row
	gone bool // then only the key counts
}

// Who is a user in a channel.
type Who struct{ Channel, User string }

// size returns about how many bytes a change takes in a message.
func (c *change) size() int { return len(c.Channel) + len(c.Socket) + len(c.User) + len(c.Info) + 12 }

func appendText[T ~string | ~[]byte](b []byte, text T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func appendFlag(b []byte, flag bool) []byte {
	if flag {
		return append(b, 1)
	}
	return append(b, 0)
}

func (m *message) encode() []byte {
	size := 64 + len(m.node) + len(m.instance)
	for i := range m.changes {
		size += m.changes[i].size()
	}
	b := append(make([]byte, 0, size), m.kind)
	b = appendText(appendText(b, m.node), m.instance)
	b = binary.AppendUvarint(binary.AppendUvarint(b, m.seq), m.count)
	b = appendFlag(binary.BigEndian.AppendUint64(b, m.digest), m.last)
	b = binary.AppendUvarint(b, uint64(len(m.changes)))
	for i := range m.changes {
		c := &m.changes[i]
		b = appendText(appendText(appendFlag(b, c.gone), c.Channel), c.Socket)
		if !c.gone {
			b = appendText(appendText(b, c.User), c.Info)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(m.leaves)))
	for _, l := range m.leaves {
		b = appendText(appendText(b, l.Channel), l.User)
	}
	return b
}

// errMessage is the error of bytes that are no message.
var errMessage = errors.New("presence: malformed message")

// decode decodes a message. Nothing of it aliases data.
func decode(data []byte) (*message, error) {
	d := decoder{data: data}
	m := &message{kind: d.byte(), node: d.text(), instance: d.text(), seq: d.number(), count: d.number(), digest: d.fixed(), last: d.flag()}
	for range d.length() {
		c := change{gone: d.flag()}
		c.Channel, c.Socket = d.text(), d.text()
		if !c.gone {
			c.User = d.text()
			if info := d.text(); info != "" {
				c.Info = []byte(info)
			}
		}
		if d.bad {
			break
		}
		m.changes = append(m.changes, c)
	}
	for range d.length() {
		l := Who{d.text(), d.text()}
		if d.bad {
			break
		}
		m.leaves = append(m.leaves, l)
	}
	if d.bad || len(d.data) > 0 || m.instance == "" {
		return nil, errMessage
	}
	return m, nil
}

// decoder reads the parts of a message. After the first bad one, all are zero.
type decoder struct {
	data []byte
	bad  bool
}

func (d *decoder) take(n uint64) []byte {
	if d.bad || n > uint64(len(d.data)) {
		d.bad = true
		return nil
	}
	b := d.data[:n]
	d.data = d.data[n:]
	return b
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) flag() bool {
	b := d.byte()
	d.bad = d.bad || b > 1
	return b == 1
}

func (d *decoder) fixed() uint64 {
	if b := d.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) number() uint64 {
	v, n := binary.Uvarint(d.data)
	if d.bad || n <= 0 {
		d.bad = true
		return 0
	}
	d.data = d.data[n:]
	return v
}

// length returns a number of things that follow, each of which takes a byte at
// least.
func (d *decoder) length() uint64 {
	n := d.number()
	if n > uint64(len(d.data)) {
		d.bad = true
		return 0
	}
	return n
}

func (d *decoder) text() string { return string(d.take(d.number())) }

package wire

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// maxScratch is the size of the largest unescape buffer, in bytes, that a
// decoder keeps from one message to the next, so that one huge name does not
// stay in memory.
const maxScratch = 4 << 10

// Decoder decodes messages into packets. The zero value is ready for use. A
// decoder is reusable and must not be used concurrently.
type Decoder struct {
	scan    scanner
	scratch []byte // unescaped event name

	batch  bool // scan is inside the array of a validated batch
	ready  bool // single holds a packet that Next has not yielded yet
	single Packet
}

// Reset validates msg as a whole and makes its packets available through Next.
// Text that is not JSON, or whose top level is neither an object nor an array,
// is one packet of KindRaw. An empty array has no packet.
//
// The error is ErrBatchTooLarge or ErrTooDeep, and then Next yields nothing.
// The depth is counted before the syntax is checked, so text that merely begins
// like JSON may also cause ErrTooDeep.
//
// The decoder refers to msg until the next Reset; Reset(nil, Limits{}) releases
// it.
func (d *Decoder) Reset(msg []byte, lim Limits) error {
	d.batch, d.ready, d.single = false, false, Packet{}
	if cap(d.scratch) > maxScratch {
		d.scratch = nil
	}
	d.scan = scanner{}

	body := trimSpace(msg)
	if len(body) == 0 || body[0] != '{' && body[0] != '[' || !utf8.Valid(body) {
		d.ready = true
		return nil
	}
	if tooDeep(body, lim.Depth) {
		return ErrTooDeep
	}

	d.scan = scanner{text: body}
	if body[0] == '{' {
		ok := d.readPacket(&d.single) && d.scan.atEnd()
		if !ok {
			d.single = Packet{}
		}
		d.ready = true
		return nil
	}

	n, ok := d.countElements(lim.BatchSize)
	switch {
	case !ok:
		d.ready = true
	case lim.BatchSize > 0 && n > lim.BatchSize:
		return ErrBatchTooLarge
	default:
		d.batch = true
		d.scan = scanner{text: body}
		d.scan.open()
	}
	return nil
}

// countElements validates a text that is an array, and counts its elements. It
// stops early if there are more than limit, if limit is positive.
func (d *Decoder) countElements(limit int) (n int, ok bool) {
	d.scan.open()
	for {
		_, more, ok := d.scan.element()
		switch {
		case !ok:
			return n, false
		case !more:
			return n, d.scan.atEnd()
		}
		if n++; limit > 0 && n > limit {
			return n, true
		}
	}
}

// Next stores the next packet in p and reports whether there was one.
func (d *Decoder) Next(p *Packet) bool {
	if d.ready {
		*p = d.single
		d.ready, d.single = false, Packet{}
		return true
	}
	if !d.batch {
		return false
	}
	switch more, _ := d.scan.next(']'); { // the text is valid
	case !more:
		d.batch = false
		d.scan = scanner{}
		return false
	case d.scan.text[d.scan.at] == '{':
		return d.readPacket(p)
	default:
		d.scan.value()
		*p = Packet{}
		return true
	}
}

// readPacket reads the object at the cursor and classifies it. It reports
// whether the object is valid JSON. Of repeated keys the last one counts, as in
// JSON.parse, so the classification has to wait for the end of the object.
func (d *Decoder) readPacket(p *Packet) bool {
	var event, cid, rid, data, failure []byte
	d.scan.open()
	for {
		name, value, more, ok := d.scan.member()
		if !ok {
			return false
		}
		if !more {
			break
		}
		switch string(memberName(name)) {
		case "event":
			event = value
		case "cid":
			cid = value
		case "rid":
			rid = value
		case "data":
			data = value
		case "error":
			failure = value
		}
	}

	*p = Packet{}
	if isString(event) {
		var ok bool
		if event, ok = d.unquote(event); !ok {
			return true
		}
		p.Kind, p.Event, p.Data = KindTransmit, event, data
		if isNumber(cid) {
			p.Kind, p.ID = KindInvoke, parseNumber(cid)
		}
		return true
	}
	if isNumber(rid) {
		p.Kind, p.ID, p.Data, p.Error = KindResponse, parseNumber(rid), data, failure
	}
	return true
}

// unquote returns the content of a string literal, aliasing it when it has no
// escapes. It refuses lone surrogates.
func (d *Decoder) unquote(literal []byte) ([]byte, bool) {
	if bytes.IndexByte(literal, '\\') < 0 {
		return literal[1 : len(literal)-1 : len(literal)-1], true
	}
	var err error
	d.scratch, err = jsontext.AppendUnquote(d.scratch[:0], literal)
	return d.scratch, err == nil
}

// parseNumber converts a valid JSON number. A number too large for a double
// becomes infinite, as in JSON.parse.
func parseNumber(literal []byte) float64 {
	// 15 digits are exact in a double. Counters hardly ever exceed that.
	if len(literal) <= 15 {
		v, digits := int64(0), true
		for _, c := range literal {
			if c < '0' || c > '9' {
				digits = false
				break
			}
			v = v*10 + int64(c-'0')
		}
		if digits {
			return float64(v)
		}
	}
	// The only possible error is a range error, which comes with the right
	// value.
	f, _ := strconv.ParseFloat(string(literal), 64)
	return f
}

// tooDeep reports whether the text nests deeper than limit. Brackets are
// counted outside strings only, which is exact as far as the text is valid
// JSON. The scanner, which recurses, never sees deeper text.
func tooDeep(text []byte, limit int) bool {
	if limit <= 0 || limit > MaxDepth {
		limit = MaxDepth
	}
	if bytes.Count(text, []byte{'{'})+bytes.Count(text, []byte{'['}) <= limit {
		return false
	}
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{', '[':
			if depth++; depth > limit {
				return true
			}
		case '}', ']':
			depth--
		case '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		}
	}
	return false
}

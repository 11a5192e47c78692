package minbin

import (
	"bytes"
	"encoding/base64"
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/tinylib/msgp/msgp"
)

// options are the options with which wire reads messages.
var options = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

// Encode implements [wire.Codec].
func (Codec) Encode(dst, message []byte) ([]byte, error) {
	if isKind(message, '[') {
		packets, err := elements(message)
		if err != nil {
			return dst, err
		}
		out := msgp.AppendArrayHeader(dst, uint32(len(packets)))
		for _, p := range packets {
			if out, err = appendPacket(out, p); err != nil {
				return dst, err
			}
		}
		return out, nil
	}
	out, err := appendPacket(dst, message)
	if err != nil {
		return dst, err
	}
	return out, nil
}

// isKind reports whether a JSON text begins with a character.
func isKind(text []byte, begin byte) bool {
	text = bytes.TrimLeft(text, " \t\r\n")
	return len(text) > 0 && text[0] == begin
}

// isNull reports whether a member is missing or null.
func isNull(text []byte) bool { return len(text) == 0 || isKind(text, 'n') }

// appendPacket appends the short form of a packet, or any other value.
func appendPacket(dst, packet []byte) ([]byte, error) {
	if !isKind(packet, '{') {
		return appendValue(dst, packet)
	}
	var event, cid, rid, data, failure []byte
	others := 0
	err := eachMember(packet, func(name string, value []byte) error {
		switch name {
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
		default:
			others++
		}
		return nil
	})
	if err != nil {
		return dst, err
	}
	switch {
	case others > 0 || isNull(event) == isNull(rid):
		return appendValue(dst, packet)
	case isNull(event):
		return appendForm(dst, keyResponse, rid, failure, data)
	case string(event) == `"`+eventPublish+`"` && isKind(data, '{'):
		var channel, inner []byte
		err := eachMember(data, func(name string, value []byte) error {
			switch name {
			case "channel":
				channel = value
			case "data":
				inner = value
			}
			return nil
		})
		if err != nil {
			return dst, err
		}
		return appendCall(dst, keyPublish, channel, inner, cid)
	default:
		return appendCall(dst, keyEvent, event, data, cid)
	}
}

// appendCall appends a form. Its last element is left out if it has no value.
func appendCall(dst []byte, key string, name, data, cid []byte) ([]byte, error) {
	if isNull(cid) {
		return appendForm(dst, key, name, data)
	}
	return appendForm(dst, key, name, data, cid)
}

func appendForm(dst []byte, key string, values ...[]byte) (_ []byte, err error) {
	dst = msgp.AppendMapHeader(dst, 1)
	dst = msgp.AppendString(dst, key)
	dst = msgp.AppendArrayHeader(dst, uint32(len(values)))
	for _, v := range values {
		if len(v) == 0 {
			dst = msgp.AppendNil(dst)
			continue
		}
		if dst, err = appendValue(dst, v); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// eachMember calls fn with the members of a JSON object.
func eachMember(object []byte, fn func(name string, value []byte) error) error {
	dec := jsontext.NewDecoder(bytes.NewBuffer(object), options...)
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return err
		}
		key := name.String()
		value, err := rawValue(dec, object)
		if err != nil {
			return err
		}
		if err := fn(key, value); err != nil {
			return err
		}
	}
	return nil
}

// elements returns the elements of a JSON array.
func elements(array []byte) (list [][]byte, err error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(array), options...)
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	for dec.PeekKind() != ']' {
		value, err := rawValue(dec, array)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	return list, nil
}

// rawValue reads a value as a slice of text, which dec reads.
func rawValue(dec *jsontext.Decoder, text []byte) ([]byte, error) {
	value, err := dec.ReadValue()
	if err != nil {
		return nil, err
	}
	end := int(dec.InputOffset())
	return text[end-len(value) : end : end], nil
}

// appendValue appends one JSON value. In MessagePack a container begins with
// its size, so the sizes are counted first.
func appendValue(dst, value []byte) ([]byte, error) {
	sizes, err := countSizes(value)
	if err != nil {
		return dst, err
	}
	e := encoder{dec: jsontext.NewDecoder(bytes.NewBuffer(value), options...), text: value, sizes: sizes, out: dst}
	if err := e.value(); err != nil {
		return dst, err
	}
	return e.out, nil
}

// countSizes returns the number of members or elements of each container in a
// value, in the order in which they begin.
func countSizes(value []byte) (sizes []uint32, err error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(value), options...)
	var open []int // indexes into sizes of the containers that have not ended
	for {
		switch kind := dec.PeekKind(); kind {
		case '{', '[':
			open = append(open, len(sizes))
			sizes = append(sizes, 0)
		case '}', ']':
			_, n := dec.StackIndex(dec.StackDepth())
			if kind == '}' {
				n /= 2 // names and values
			}
			sizes[open[len(open)-1]] = uint32(n)
			open = open[:len(open)-1]
		}
		if _, err := dec.ReadToken(); err != nil {
			return nil, err
		}
		if len(open) == 0 {
			return sizes, nil
		}
	}
}

// encoder appends the value that dec reads from text to out.
type encoder struct {
	dec   *jsontext.Decoder
	text  []byte
	sizes []uint32 // of the containers that have not begun
	out   []byte
}

func (e *encoder) value() error {
	kind := e.dec.PeekKind()
	if kind == '{' || kind == '[' {
		size := e.sizes[0]
		e.sizes = e.sizes[1:]
		if kind == '{' {
			if done, err := e.bytes(); done || err != nil {
				return err
			}
			e.out = msgp.AppendMapHeader(e.out, size)
			size *= 2
		} else {
			e.out = msgp.AppendArrayHeader(e.out, size)
		}
		if _, err := e.dec.ReadToken(); err != nil {
			return err
		}
		for range size {
			if err := e.value(); err != nil {
				return err
			}
		}
		_, err := e.dec.ReadToken()
		return err
	}
	token, err := e.dec.ReadToken()
	if err != nil {
		return err
	}
	switch kind {
	case 'n':
		e.out = msgp.AppendNil(e.out)
	case 't', 'f':
		e.out = msgp.AppendBool(e.out, token.Bool())
	case '"':
		e.out = msgp.AppendString(e.out, token.String())
	default:
		e.out = appendNumber(e.out, token.String())
	}
	return nil
}

// bytesPrefix is the beginning of an object that represents bytes, as
// JSON.stringify and [wire.Marshal] write it.
const bytesPrefix = `{"base64":true,"data":"`

// bytes appends the object at the cursor as binary data, if it represents
// bytes.
func (e *encoder) bytes() (done bool, err error) {
	rest := bytes.TrimLeft(e.text[e.dec.InputOffset():], " \t\r\n,:")
	if !bytes.HasPrefix(rest, []byte(bytesPrefix)) {
		return false, nil
	}
	encoded, _, _ := bytes.Cut(rest[len(bytesPrefix):], []byte{'"'})
	if after := rest[len(bytesPrefix)+len(encoded):]; !bytes.HasPrefix(after, []byte(`"}`)) {
		return false, nil
	}
	decoded, err := base64.StdEncoding.Strict().AppendDecode(nil, encoded)
	if err != nil || bytes.ContainsAny(encoded, "\r\n") {
		return false, nil
	}
	e.out = msgp.AppendBytes(e.out, decoded)
	return true, e.dec.SkipValue()
}

// appendNumber appends a number given by its digits, in the form that
// JavaScript codecs choose.
func appendNumber(dst []byte, digits string) []byte {
	f, _ := strconv.ParseFloat(digits, 64) // out of range it is infinite, as in JavaScript
	if f == math.Trunc(f) && math.MinInt32 <= f && f <= math.MaxInt32 {
		if f < 0 {
			return msgp.AppendInt64(dst, int64(f))
		}
		return msgp.AppendUint64(dst, uint64(f))
	}
	if i, err := strconv.ParseInt(digits, 10, 64); err == nil && !isExact(f, uint64(max(i, -i))) {
		return msgp.AppendInt64(dst, i)
	}
	if u, err := strconv.ParseUint(digits, 10, 64); err == nil && !isExact(f, u) {
		return msgp.AppendUint64(dst, u)
	}
	return msgp.AppendFloat64(dst, f)
}

// isExact reports whether a double, apart from its sign, is an integer of this
// size.
func isExact(f float64, size uint64) bool {
	f = math.Abs(f)
	return f < math.MaxUint64 && uint64(f) == size
}

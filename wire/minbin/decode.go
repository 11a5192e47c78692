package minbin

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"

	"github.com/socketcluster-go/socketcluster/wire"
)

var (
	errTrailing = errors.New("minbin: bytes after the end of the message")
	errDepth    = errors.New("minbin: nested too deeply")
	errText     = errors.New("minbin: text that is not valid UTF-8")
	errForm     = errors.New("minbin: a packet with an unknown form")
)

// Decode implements [wire.Codec].
func (Codec) Decode(dst, message []byte, limit int) ([]byte, error) {
	d := decoder{in: message, out: dst, end: len(dst) + limit}
	if err := d.message(); err != nil {
		return dst, err
	}
	if len(d.in) > 0 {
		return dst, errTrailing
	}
	return d.out, nil
}

// decoder takes values from the front of in and appends their JSON to out.
type decoder struct {
	in, out []byte
	end     int // the maximum length of out
	depth   int
}

// room fails if out has become too long. It is called after each value, so out
// never exceeds its maximum by more than one value of the message.
func (d *decoder) room() error {
	if len(d.out) > d.end {
		return wire.ErrMessageTooLarge
	}
	return nil
}

// message reads a packet, a batch, or anything else.
func (d *decoder) message() error {
	if msgp.NextType(d.in) == msgp.ArrayType {
		return d.array(d.packet)
	}
	return d.packet()
}

// packet reads a map, whose short forms it expands, or any other value.
func (d *decoder) packet() error {
	if msgp.NextType(d.in) == msgp.MapType {
		return d.object(d.packetMember)
	}
	return d.value()
}

func (d *decoder) packetMember(key []byte) error {
	if msgp.NextType(d.in) != msgp.NilType {
		switch string(key) {
		case keyPublish:
			return d.publication()
		case keyEvent:
			return d.event()
		case keyResponse:
			return d.response()
		}
	}
	return d.member(key)
}

// form reads the header of a short form.
func (d *decoder) form(min, max uint32) (n uint32, err error) {
	n, d.in, err = msgp.ReadArrayHeaderBytes(d.in)
	if err != nil || n < min || n > max {
		return 0, errForm
	}
	return n, nil
}

func (d *decoder) publication() error {
	n, err := d.form(2, 3)
	if err != nil {
		return err
	}
	d.out = append(d.out, `"event":"`+eventPublish+`","data":{"channel":`...)
	if err := d.value(); err != nil {
		return err
	}
	d.out = append(d.out, `,"data":`...)
	if err := d.value(); err != nil {
		return err
	}
	d.out = append(d.out, '}')
	return d.cid(n)
}

func (d *decoder) event() error {
	n, err := d.form(1, 3)
	if err != nil {
		return err
	}
	d.out = append(d.out, `"event":`...)
	if err := d.value(); err != nil {
		return err
	}
	if n > 1 {
		d.out = append(d.out, `,"data":`...)
		if err := d.value(); err != nil {
			return err
		}
	}
	return d.cid(n)
}

// cid reads the third of the n elements of a form, if there is one and it is
// not nil.
func (d *decoder) cid(n uint32) (err error) {
	if n < 3 {
		return nil
	}
	if msgp.NextType(d.in) == msgp.NilType {
		d.in, err = msgp.ReadNilBytes(d.in)
		return err
	}
	d.out = append(d.out, `,"cid":`...)
	return d.value()
}

func (d *decoder) response() error {
	n, err := d.form(1, 3)
	if err != nil {
		return err
	}
	for i, name := range []string{`"rid":`, `,"error":`, `,"data":`}[:n] {
		if i > 0 && msgp.NextType(d.in) == msgp.NilType {
			if d.in, err = msgp.ReadNilBytes(d.in); err != nil {
				return err
			}
			continue
		}
		d.out = append(d.out, name...)
		if err := d.value(); err != nil {
			return err
		}
	}
	return nil
}

// array reads an array and calls read for each element.
func (d *decoder) array(read func() error) error {
	n, rest, err := msgp.ReadArrayHeaderBytes(d.in)
	if err != nil {
		return err
	}
	d.in = rest
	if err := d.enter(); err != nil {
		return err
	}
	d.out = append(d.out, '[')
	for i := range n {
		if i > 0 {
			d.out = append(d.out, ',')
		}
		if err := read(); err != nil {
			return err
		}
	}
	d.out = append(d.out, ']')
	d.depth--
	return nil
}

// object reads a map and calls read for each member, once its key is known.
func (d *decoder) object(read func(key []byte) error) error {
	n, rest, err := msgp.ReadMapHeaderBytes(d.in)
	if err != nil {
		return err
	}
	d.in = rest
	if err := d.enter(); err != nil {
		return err
	}
	d.out = append(d.out, '{')
	for i := range n {
		if i > 0 {
			d.out = append(d.out, ',')
		}
		var key []byte
		if key, d.in, err = msgp.ReadStringZC(d.in); err != nil {
			return err
		}
		if err := read(key); err != nil {
			return err
		}
	}
	d.out = append(d.out, '}')
	d.depth--
	return nil
}

func (d *decoder) enter() error {
	if d.depth++; d.depth > wire.MaxDepth {
		return errDepth
	}
	return nil
}

func (d *decoder) member(key []byte) error {
	if err := d.text(key); err != nil {
		return err
	}
	d.out = append(d.out, ':')
	return d.value()
}

// text appends a string. Its length in JSON is at most six times its own.
func (d *decoder) text(s []byte) error {
	if !utf8.Valid(s) {
		return errText
	}
	d.out = wire.AppendString(d.out, string(s))
	return d.room()
}

func (d *decoder) value() (err error) {
	switch t := msgp.NextType(d.in); t {
	case msgp.MapType:
		return d.object(d.member)
	case msgp.ArrayType:
		return d.array(d.value)
	case msgp.StrType:
		var s []byte
		if s, d.in, err = msgp.ReadStringZC(d.in); err != nil {
			return err
		}
		return d.text(s)
	case msgp.BinType:
		var b []byte
		if b, d.in, err = msgp.ReadBytesZC(d.in); err != nil {
			return err
		}
		d.out = append(d.out, `{"base64":true,"data":"`...)
		d.out = base64.StdEncoding.AppendEncode(d.out, b)
		d.out = append(d.out, `"}`...)
	case msgp.NilType:
		d.in, err = msgp.ReadNilBytes(d.in)
		d.out = append(d.out, "null"...)
	case msgp.BoolType:
		var v bool
		v, d.in, err = msgp.ReadBoolBytes(d.in)
		d.out = strconv.AppendBool(d.out, v)
	case msgp.IntType:
		var v int64
		v, d.in, err = msgp.ReadInt64Bytes(d.in)
		d.out = strconv.AppendInt(d.out, v, 10)
	case msgp.UintType:
		var v uint64
		v, d.in, err = msgp.ReadUint64Bytes(d.in)
		d.out = strconv.AppendUint(d.out, v, 10)
	case msgp.Float32Type:
		var v float32
		v, d.in, err = msgp.ReadFloat32Bytes(d.in)
		d.out = wire.AppendNumber(d.out, float64(v))
	case msgp.Float64Type:
		var v float64
		v, d.in, err = msgp.ReadFloat64Bytes(d.in)
		d.out = wire.AppendNumber(d.out, v)
	default:
		if len(d.in) == 0 {
			return msgp.ErrShortBytes
		}
		return fmt.Errorf("minbin: a value of the type %v", t)
	}
	if err != nil {
		return err
	}
	return d.room()
}

package ws

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/socketcluster-go/socketcluster/wire"
)

// reference decodes a whole stream of a client in the plainest way: the events
// of listen and the error at the end.
func reference(stream []byte, limit uint64, maxFragments int, deflate bool) (events []string, err error) {
	var (
		message   []byte
		squeezed  bool // the message in progress is compressed
		kind      byte // of the message in progress, 0 when there is none
		fragments int
	)
	take := func(n uint64) []byte {
		p := stream[:n]
		stream = stream[n:]
		return p
	}
	for {
		if len(stream) == 0 && fragments == 0 {
			return events, io.EOF
		}
		if len(stream) < 2 {
			return events, io.ErrUnexpectedEOF
		}
		two := take(2)
		op, control := two[0]&0xf, two[0]&0x8 != 0
		length := uint64(two[1] & 0x7f)
		rsv := two[0] & 0x70
		first := deflate && (op == text || op == binry)
		switch {
		case op > 2 && op < 8 || op > 10,
			rsv != 0 && !(first && rsv == 0x40),
			two[1]&0x80 == 0,
			control && (two[0]&fin == 0 || length > 125),
			op == cont && kind == 0,
			!control && op != cont && kind != 0:
			return events, protocolError(1002)
		}
		extended := map[uint64]uint64{126: 2, 127: 8}[length]
		if uint64(len(stream)) < extended+4 {
			return events, io.ErrUnexpectedEOF
		}
		if extended > 0 {
			length = binary.BigEndian.Uint64(append(make([]byte, 8-extended), take(extended)...))
		}
		mask := take(4)
		if length>>63 != 0 {
			return events, protocolError(1002)
		}
		if !control {
			if fragments++; fragments > maxFragments {
				return events, ErrFragments
			}
			if op != cont {
				kind, squeezed = op, rsv != 0
			}
			most := limit
			if squeezed {
				most = limit + limit/8 + 64
			}
			if uint64(len(message))+length > most {
				return events, ErrTooBig
			}
		}
		if uint64(len(stream)) < length {
			return events, io.ErrUnexpectedEOF
		}
		payload := append([]byte{}, take(length)...)
		for i := range payload {
			payload[i] ^= mask[i&3]
		}
		switch op {
		case clos:
			return events, referenceClose(payload)
		case ping:
			events = append(events, fmt.Sprintf("ping %q", payload))
		case pong:
		default:
			message = append(message, payload...)
			if two[0]&fin == 0 {
				if kind == text && !squeezed && !referenceBegins(message) {
					return events, protocolError(1007)
				}
				continue
			}
			if squeezed {
				if message, err = referenceInflate(message, int(limit), maxFragments); err != nil {
					return events, err
				}
			}
			if kind == text && !utf8.Valid(message) {
				return events, protocolError(1007)
			}
			events = append(events, fmt.Sprintf("%s %q", []string{text: "text", binry: "binary"}[kind], message))
			message, kind, fragments = nil, 0, 0
		}
	}
}

// referenceBegins reports whether more bytes could make UTF-8 of p: as they
// do if one of these makes the last character whole.
func referenceBegins(p []byte) bool {
	for _, rest := range []string{"", "\x80", "\x80\x80", "\x80\x80\x80", "\xbf", "\xbf\xbf", "\xbf\xbf\xbf"} {
		if utf8.Valid(append(bytes.Clone(p), rest...)) {
			return true
		}
	}
	return false
}

// referenceInflate reads stream after stream until nothing is left.
func referenceInflate(p []byte, limit, maxStreams int) (message []byte, err error) {
	in := bytes.NewReader(append(bytes.Clone(p), "\x00\x00\xff\xff\x01\x00\x00\xff\xff"...))
	for range maxStreams {
		part, err := io.ReadAll(io.LimitReader(flate.NewReader(in), int64(limit+1-len(message))))
		message = append(message, part...)
		switch {
		case err != nil:
			return nil, errDeflate
		case len(message) > limit:
			return nil, ErrTooBig
		case in.Len() == 0:
			return message, nil
		}
	}
	return nil, ErrStreams
}

func referenceClose(p []byte) error {
	if len(p) == 0 {
		return &CloseError{Code: 1005}
	}
	if len(p) == 1 {
		return protocolError(1002)
	}
	code := int(p[0])<<8 | int(p[1])
	switch {
	case code < 1000, code == 1004, code == 1005, code == 1006, code > 1014 && code < 3000, code > 4999:
		return protocolError(1002)
	case !utf8.Valid(p[2:]):
		return protocolError(1007)
	}
	return &CloseError{Code: wire.CloseCode(code), Reason: string(p[2:])}
}

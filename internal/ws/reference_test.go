package ws

import (
	"encoding/binary"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/socketcluster-go/socketcluster/wire"
)

// reference decodes a whole stream of a client in the plainest way: the events
// of listen and the error at the end.
func reference(stream []byte, limit uint64, maxFragments int) (events []string, err error) {
	var (
		message   []byte
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
		switch {
		case op > 2 && op < 8 || op > 10,
			two[0]&0x70 != 0,
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
				return events, errFragments
			}
			if op != cont {
				kind = op
			}
			if uint64(len(message))+length > limit {
				return events, errTooBig
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
				continue
			}
			if kind == text && !utf8.Valid(message) {
				return events, protocolError(1007)
			}
			events = append(events, fmt.Sprintf("%s %q", []string{text: "text", binry: "binary"}[kind], message))
			message, kind, fragments = nil, 0, 0
		}
	}
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

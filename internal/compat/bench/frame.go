//go:build linux

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The few numbers of RFC 6455 that a client of these servers needs.
const (
	opText  = 1
	opClose = 8

	finBit        = 0x80
	compressedBit = 0x40 // RFC 7692, 6
	maskBit       = 0x80

	len16 = 126
	len64 = 127

	closeNormal = 1000

	// maxFrame bounds what a server may send; the servers' messages in the
	// benchmark are below 64 KB.
	maxFrame = 1 << 20
)

// maskKey is not random, because nothing between the two processes could be
// confused by the data. It is not zero, because servers may then skip
// unmasking.
var maskKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// appendFrame appends a masked, final frame. Payloads of 64 KB or more do not
// occur.
func appendFrame(dst []byte, opcode byte, payload []byte) []byte {
	dst = append(dst, finBit|opcode)
	if len(payload) < len16 {
		dst = append(dst, maskBit|byte(len(payload)))
	} else {
		dst = append(dst, maskBit|len16)
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(payload)))
	}
	dst = append(dst, maskKey[:]...)
	for i, b := range payload {
		dst = append(dst, b^maskKey[i&3])
	}
	return dst
}

// closeError is returned when the server closed the connection.
type closeError struct {
	code   int
	reason string
}

func (e *closeError) Error() string {
	return fmt.Sprintf("server closed the connection: %d %s", e.code, e.reason)
}

var errFrame = errors.New("the server sent a frame that this client does not understand")

// parseFrame looks for one whole frame at the start of buf. size is 0 if more
// bytes are needed.
func parseFrame(buf []byte) (opcode byte, compressed bool, payload []byte, size int, err error) {
	if len(buf) < 2 {
		return 0, false, nil, 0, nil
	}
	if buf[0]&finBit == 0 || buf[0]&0x30 != 0 || buf[1]&maskBit != 0 {
		return 0, false, nil, 0, errFrame
	}
	header, length := 2, uint64(buf[1])
	switch length {
	case len16:
		header = 4
		if len(buf) < header {
			return 0, false, nil, 0, nil
		}
		length = uint64(binary.BigEndian.Uint16(buf[2:]))
	case len64:
		header = 10
		if len(buf) < header {
			return 0, false, nil, 0, nil
		}
		length = binary.BigEndian.Uint64(buf[2:])
	}
	if length > maxFrame {
		return 0, false, nil, 0, fmt.Errorf("%w: %d bytes", errFrame, length)
	}
	size = header + int(length)
	if len(buf) < size {
		return 0, false, nil, 0, nil
	}
	return buf[0] & 0x0f, buf[0]&compressedBit != 0, buf[header:size], size, nil
}

func parseClose(payload []byte) *closeError {
	if len(payload) < 2 {
		return &closeError{code: 1005} // RFC 6455, 7.1.5: no code was sent
	}
	return &closeError{code: int(binary.BigEndian.Uint16(payload)), reason: string(payload[2:])}
}

package rfc6455

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Upgrade sends an upgrade request for path and reads the response. The reader
// has the bytes that came after it. compressed offers permessage-deflate, and
// fails if the server does not accept it.
func Upgrade(conn net.Conn, path string, compressed bool) (*bufio.Reader, error) {
	request := "GET " + path + " HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n"
	if compressed {
		request += "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
	}
	if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
		return nil, err
	}
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return nil, err
	}
	extensions := resp.Header.Get("Sec-WebSocket-Extensions")
	if resp.StatusCode != http.StatusSwitchingProtocols || strings.HasPrefix(extensions, "permessage-deflate") != compressed {
		return nil, fmt.Errorf("upgrade: %s, extensions %q", resp.Status, extensions)
	}
	return in, nil
}

// Play sends the stream of the case and returns the server's replies, up to the
// end of the connection. in is the reader from Upgrade.
func (c *Case) Play(conn net.Conn, in *bufio.Reader) (replies []Reply, code int, err error) {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, 0, err
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		piece := c.Piece
		if piece == 0 {
			piece = len(c.Stream)
		}
		// A server may stop reading: that shows in its replies.
		for p := c.Stream; len(p) > 0; p = p[min(piece, len(p)):] {
			if _, err := conn.Write(p[:min(piece, len(p))]); err != nil {
				return
			}
		}
	}()
	defer func() {
		_ = conn.Close()
		<-sent
	}()
	var z inflater
	for {
		first, payload, err := readFrame(in)
		if err != nil {
			return replies, 0, err
		}
		if first == fin|opClose {
			code, err := closeCode(payload)
			if err != nil {
				return replies, code, err
			}
			if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
				return replies, code, fmt.Errorf("after the close frame: %v", err)
			}
			return replies, code, nil
		}
		if first&rsv1 != 0 {
			if payload, err = z.inflate(payload); err != nil {
				return replies, 0, err
			}
		}
		if first&fin == 0 || first&(rsv2|rsv3) != 0 {
			return replies, 0, fmt.Errorf("a frame with first byte %#x", first)
		}
		replies = append(replies, Reply{first &^ (fin | rsv1), payload})
	}
}

func closeCode(payload string) (int, error) {
	switch len(payload) {
	case 0:
		return closeNoStatus, nil
	case 2:
		return int(binary.BigEndian.Uint16([]byte(payload))), nil
	}
	return 0, fmt.Errorf("close frame with %q", payload)
}

// readFrame reads a frame of a server, with the shortest encoding of its length.
func readFrame(in *bufio.Reader) (first byte, payload string, err error) {
	var b [8]byte
	if _, err := io.ReadFull(in, b[:2]); err != nil {
		return 0, "", err
	}
	first = b[0]
	n, least := uint64(b[1]), uint64(0)
	if width := map[byte]int{126: 2, 127: 8}[b[1]]; width > 0 {
		clear(b[:])
		if _, err := io.ReadFull(in, b[8-width:]); err != nil {
			return 0, "", err
		}
		n = binary.BigEndian.Uint64(b[:])
		least = map[int]uint64{2: 126, 8: 1 << 16}[width]
	}
	if n < least || n > 2*Limit {
		return 0, "", fmt.Errorf("a frame of %d bytes with a length of %#x", n, b)
	}
	p := make([]byte, n)
	_, err = io.ReadFull(in, p)
	return first, string(p), err
}

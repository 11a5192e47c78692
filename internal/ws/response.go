package ws

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

const (
	// maxResponse is the maximum size of the headers of a response in bytes,
	// including those of interim responses. A read buffer may exceed it a
	// little.
	maxResponse = 64 << 10
	// maxRefusal is the number of bytes of a refusal's text that are kept.
	maxRefusal = 1 << 10
)

var errResponseSize = errors.New("the headers of the response are too large")

// readResponse reads the response to a request, up to the end of its headers,
// and returns the bytes that came after them. It skips interim responses.
func readResponse(from io.Reader, r *http.Request) (resp *http.Response, ahead []byte, err error) {
	limited := &io.LimitedReader{R: from, N: maxResponse}
	in := bufio.NewReaderSize(limited, readSize)
	for {
		resp, err = http.ReadResponse(in, r)
		if err != nil {
			if limited.N == 0 {
				err = errResponseSize
			} else if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, nil, err
		}
		if resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			break
		}
	}
	if resp.StatusCode >= 300 || r.Method != http.MethodConnect && resp.StatusCode >= 200 {
		return resp, nil, nil // its text follows
	}
	// Peek cannot fail for what is buffered.
	ahead, _ = in.Peek(in.Buffered())
	return resp, bytes.Clone(ahead), nil
}

// accepted checks the response to an upgrade request (RFC 6455, section 4.1).
func (o *DialOptions) accepted(r *http.Request, resp *http.Response) (deflate bool, err error) {
	if resp.StatusCode != http.StatusSwitchingProtocols {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
		return false, &Refusal{Status: resp.StatusCode, Text: string(text), Header: resp.Header}
	}
	h := resp.Header
	switch {
	case !hasToken(h, "Upgrade", "websocket"), !hasToken(h, "Connection", "upgrade"):
		return false, errors.New("the response is not an upgrade to WebSocket")
	case !slices.Equal(h["Sec-Websocket-Accept"], []string{acceptKey(r.Header.Get("Sec-WebSocket-Key"))}):
		return false, errors.New("the response is not to this request: its Sec-WebSocket-Accept is wrong")
	}
	var offered []string
	if o.Subprotocol != "" {
		offered = []string{o.Subprotocol}
	}
	if chosen := h["Sec-Websocket-Protocol"]; !slices.Equal(chosen, offered) {
		return false, fmt.Errorf("the server selected the subprotocol %q; it was offered %q", strings.Join(chosen, ", "), o.Subprotocol)
	}
	deflate, ok := deflateAccepted(h)
	if !ok || deflate && !o.Deflate {
		return false, fmt.Errorf("the server selected extensions that it was not offered: %q", strings.Join(h["Sec-Websocket-Extensions"], ", "))
	}
	return deflate, nil
}

package rfc6455

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"strconv"
	"testing"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/internal/compat/browsertest"
)

func compression(level int) socketcluster.Compression { return socketcluster.Compression{Level: level} }

func port(t *testing.T, web *httptest.Server) int {
	t.Helper()
	u, err := url.Parse(web.URL)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// exchange is what a page does: a handshake, and calls of many sizes whose
// answers have to be what was sent. It gives the extensions of the WebSocket.
const exchange = `new Promise((resolve, reject) => {
	const socket = new WebSocket('ws://' + location.host + '%s');
	const texts = [0, 10, 1000, 1023, 1024, 5000, 100000].map((n) => 'κόσμε '.repeat(n / 6) + Math.random());
	let next = -1;
	const send = (event, data) => socket.send(JSON.stringify({event, data, cid: next + 2}));
	socket.onopen = () => send('#handshake', {authToken: null});
	socket.onerror = () => reject(new Error('error'));
	socket.onclose = (e) => reject(new Error('closed with ' + e.code));
	socket.onmessage = ({data}) => {
		if (data === '') return socket.send('');
		const answer = JSON.parse(data);
		if (next >= 0 && answer.data !== texts[next]) return reject(new Error('answer ' + next + ' differs'));
		if (++next === texts.length) {
			socket.onclose = () => resolve(socket.extensions);
			return socket.close();
		}
		send('echo', texts[next]);
	};
})`

// TestChromium: TR-7, browsers always offer compression. They get it when the
// server is set to it, and work with and without.
func TestChromium(t *testing.T) {
	browser := browsertest.Start(t)
	for _, test := range []struct {
		name  string
		level int
		want  string
	}{
		{"off by default", 0, ""},
		{"on", 1, "permessage-deflate; server_no_context_takeover; client_no_context_takeover"},
		{"on with the highest level", 9, "permessage-deflate; server_no_context_takeover; client_no_context_takeover"},
	} {
		t.Run(test.name, func(t *testing.T) {
			web := startServer(t, compression(test.level))
			tab := browser.NewTab(t)
			tab.Navigate(web.URL)
			var got string
			tab.Eval(fmt.Sprintf(exchange, socketcluster.DefaultPath), &got)
			if got != test.want {
				t.Errorf("extensions %q, want %q", got, test.want)
			}
			tab.Close()
		})
	}
}

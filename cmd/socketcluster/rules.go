package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/rules"
	"github.com/socketcluster-go/socketcluster/wire"
)

// demoRules are used unless others are set: everybody may read the chat,
// private channels are for users whose token lists them, and users may write to
// each other. Only its owner can read a user's channel, and its messages name
// their real senders.
var demoRules = rules.MustNew(
	rules.Rule{Channel: "chat", Subscribe: rules.Anyone, Publish: rules.Authenticated},
	rules.Rule{In: "channels"},
	rules.Rule{Channel: "user/*", Publish: rules.Authenticated},
)

// maxText is the longest text of a message, in characters.
const maxText = 500

// message is a message on any channel of the demo. Clients send the text; the
// server adds the rest.
type message struct {
	From string `json:"from"`
	Text string `json:"text"`
	At   int64  `json:"at"` // milliseconds since 1970, as Date.now()
}

// applyRules makes a server decide who may use which channel, and add the
// sender to publications.
func applyRules(srv *socketcluster.Server, set *rules.Set, log *slog.Logger) {
	srv.UseInbound(set.Middleware(log))
	socketcluster.Use(srv, signPublication)
}

// signPublication turns a publication into a message of the user who is logged
// in. Only the server can be trusted to name that user.
func signPublication(_ context.Context, a *socketcluster.PublishIn) error {
	user, ok := socketcluster.Claims[claims](a.Socket)
	switch {
	case ok && user.Username != "":
	case a.AuthTokenExpired != nil:
		return a.AuthTokenExpired
	default:
		return errAnonymous
	}
	signed, err := signMessage(a.Data, user.Username, time.Now())
	if err != nil {
		return err
	}
	a.Data = signed
	return nil
}

// signMessage checks what a client publishes, and makes a message from it.
func signMessage(data json.RawMessage, from string, at time.Time) (json.RawMessage, error) {
	var in struct {
		Text string `json:"text"`
	}
	if err := wire.Unmarshal(data, &in); err != nil {
		return nil, errMessage
	}
	text := strings.TrimSpace(in.Text)
	if text == "" || utf8.RuneCountInString(text) > maxText {
		return nil, errMessage
	}
	return wire.Marshal(message{From: from, Text: text, At: at.UnixMilli()})
}

var (
	errMessage   = socketcluster.Errorf("PublishError", "A message must have a text of 1 to %d characters", maxText)
	errAnonymous = socketcluster.Errorf("PublishError", "A message must be from a user: the token has no username")
)

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/wire"
)

// chatChannel is the one channel that everybody may read.
const chatChannel = "chat"

// maxText is the longest text of a message, in characters.
const maxText = 500

// message is what is published on all channels of the demo. Clients give the
// text; the rest is up to the server.
type message struct {
	From string `json:"from"`
	Text string `json:"text"`
	At   int64  `json:"at"` // milliseconds since 1970, as Date.now()
}

// applyRules makes a server decide who may use which channel.
func applyRules(srv *socketcluster.Server) {
	srv.UseInbound(socketcluster.Guard(guardSubscribe), socketcluster.Guard(guardPublish))
}

// guardSubscribe is asked again whenever the token changes.
func guardSubscribe(_ context.Context, a *socketcluster.Subscribe) error {
	if mayRead(a.Socket, a.Channel) {
		return nil
	}
	return refusal("SubscribeError", a.Channel, a.AuthTokenExpired)
}

// guardPublish also makes the message one of the user who is logged in, as
// nobody else can be trusted to say who that is.
func guardPublish(_ context.Context, a *socketcluster.PublishIn) error {
	user, ok := socketcluster.Claims[claims](a.Socket)
	if !ok || user.Username == "" || !mayRead(a.Socket, a.Channel) {
		return refusal("PublishError", a.Channel, a.AuthTokenExpired)
	}
	signed, err := signMessage(a.Data, user.Username, time.Now())
	if err != nil {
		return err
	}
	a.Data = signed
	return nil
}

// mayRead tells whether a socket may be subscribed to a channel. Private
// channels have to be named in its token; others do not exist.
func mayRead(s *socketcluster.Socket, channel string) bool {
	if channel == chatChannel {
		return true
	}
	if !strings.HasPrefix(channel, "user/") && !strings.HasPrefix(channel, "room/") {
		return false
	}
	user, ok := socketcluster.Claims[claims](s)
	return ok && slices.Contains(user.Channels, channel)
}

// refusal tells a client that had a token until now that this was the reason.
func refusal(name, channel string, expired error) error {
	if expired != nil {
		return expired
	}
	return &wire.Error{Name: name, Message: fmt.Sprintf("You have no access to the channel %q", channel)}
}

// signMessage checks what a client publishes, and makes a message of it.
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

var errMessage = &wire.Error{Name: "PublishError", Message: fmt.Sprintf("A message must have a text of 1 to %d characters", maxText)}

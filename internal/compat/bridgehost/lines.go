package main

import "encoding/json"

// command is a line from the bridge: a command with the fields of its kind, or
// an answer to a question. A nil json.RawMessage is an absent field, which is
// not the same as null.
type command struct {
	T   string          `json:"t"`
	ID  int             `json:"id"`
	Cmd string          `json:"cmd"`
	OK  json.RawMessage `json:"ok"`  // of an answer
	Err json.RawMessage `json:"err"` // of an answer

	Server int    `json:"server"`
	Socket string `json:"socket"`

	// Servers.
	Port            int             `json:"port"`
	Options         json.RawMessage `json:"options"` // of sockets' commands too
	AuthMethods     []string        `json:"authMethods"`
	BrokerHooks     []string        `json:"brokerHooks"`
	KeepSocketsOpen bool            `json:"keepSocketsOpen"`
	Name            string          `json:"name"`
	Value           json.RawMessage `json:"value"`
	Type            string          `json:"type"`
	Methods         []string        `json:"methods"`
	Token           json.RawMessage `json:"token"`
	SignedToken     *string         `json:"signedToken"`
	Key             string          `json:"key"`
	Op              string          `json:"op"`
	Method          string          `json:"method"`

	// Sockets and channels.
	Channel json.RawMessage `json:"channel"` // a name, or several for kickOut
	Event   string          `json:"event"`
	Data    json.RawMessage `json:"data"`
	Object  json.RawMessage `json:"object"`
	Message json.RawMessage `json:"message"`
	Code    int             `json:"code"`
	Reason  string          `json:"reason"`

	// Calls.
	Request int             `json:"request"`
	Error   json.RawMessage `json:"error"`
}

// channel returns the one channel that a command names.
func (c *command) channel() string {
	var name string
	_ = json.Unmarshal(c.Channel, &name) // the bridge sends whatever the suite passed
	return name
}

// fields is an object with varying members.
type fields map[string]any

// payload returns data for the library, where absent data is nil.
func payload(raw json.RawMessage) any {
	if raw == nil {
		return nil
	}
	return raw
}

// orNull returns null for absent data.
func orNull(raw json.RawMessage) json.RawMessage {
	if raw == nil {
		return json.RawMessage("null")
	}
	return raw
}

// helloLine is the first line.
type helloLine struct {
	T        string   `json:"t"`
	Protocol int      `json:"protocol"`
	Host     string   `json:"host"`
	Features []string `json:"features"`
}

// resultLine answers a command.
type resultLine struct {
	T   string          `json:"t"`
	ID  int             `json:"id"`
	OK  json.RawMessage `json:"ok,omitempty"`
	Err json.RawMessage `json:"err,omitempty"`
	snapshots
}

// eventLine reports an event of a server or of a socket.
type eventLine struct {
	T      string `json:"t"`
	On     string `json:"on"`
	Server int    `json:"server,omitempty"`
	Socket string `json:"socket,omitempty"`
	Event  string `json:"event"`
	Data   fields `json:"data,omitzero"` // nil for events without data
	snapshots
}

// procedureLine is a call by a client.
type procedureLine struct {
	T         string          `json:"t"`
	Socket    string          `json:"socket"`
	Request   int             `json:"request"`
	ID        float64         `json:"id"`
	Procedure string          `json:"procedure"`
	Data      json.RawMessage `json:"data,omitempty"`
	Sent      bool            `json:"sent"`
	snapshots
}

// receiverLine is a transmission by a client.
type receiverLine struct {
	T        string          `json:"t"`
	Socket   string          `json:"socket"`
	Receiver string          `json:"receiver"`
	Data     json.RawMessage `json:"data,omitempty"`
	snapshots
}

// streamsLine ends the streams of a socket.
type streamsLine struct {
	T      string `json:"t"`
	Socket string `json:"socket"`
	Op     string `json:"op"`
}

// exchangeLine is data on a channel to which the exchange is subscribed.
type exchangeLine struct {
	T       string          `json:"t"`
	Server  int             `json:"server"`
	Channel string          `json:"channel"`
	Data    json.RawMessage `json:"data,omitempty"`
}

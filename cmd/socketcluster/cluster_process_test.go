package main

import (
	"encoding/json"
	"strings"
	"testing"
)

const clusterConfig = `
	cluster-revocations = true
	cluster-fail-closed = true
	presence-channels = "room/*"
	[[rules]]
	channel = "room/*"
	subscribe = "authenticated"
	publish = "authenticated"
	presence = "authenticated"
	[[history]]
	channel = "room/*"
	size = 100
	age = "1h"
`

// here returns who is in a channel, as a node sees it.
func (p *peer) here(channel string) string {
	p.t.Helper()
	answer := p.call("presence", map[string]string{"channel": channel})
	var in struct{ Users []struct{ User string } }
	if answer.Error != nil || json.Unmarshal(answer.Data, &in) != nil {
		p.t.Fatalf("presence: %+v", answer)
	}
	var names []string
	for _, u := range in.Users {
		names = append(names, u.User)
	}
	return strings.Join(names, " ")
}

// Three processes of the command are one server by their settings: histories outlive the
// death of one, all see who is there, and a logout everywhere is everywhere.
func TestClusterOfCommands(t *testing.T) {
	t.Parallel()
	p := newProcesses(t, clusterConfig, "a", "b", "c")
	for _, name := range []string{"a", "b", "c"} {
		p.start(name)
	}
	p.awaitReady("a", "b", "c")
	token := p.token("alice")
	alice, again, bob := p.connect("a", token), p.connect("b", token), p.connect("c", p.token("bob"))
	for _, c := range []*peer{alice, again, bob} {
		if err := c.subscribe("room/1"); err != nil {
			t.Fatalf("%+v", err)
		}
	}
	p.await("presence", func() bool { return bob.here("room/1") == "alice bob" })

	answer := bob.call("#publish", json.RawMessage(`{"channel":"room/1","data":{"text":"hello"},"id":"x"}`))
	if answer.Error != nil || !strings.Contains(string(answer.Data), `"position":`) {
		t.Fatalf("%+v", answer)
	}
	if text := string(alice.event("#publish").Data); !strings.Contains(text, `"from":"bob","text":"hello"`) {
		t.Errorf("alice gets %s", text)
	}
	p.kill("c")
	p.await("the end of bob", func() bool { return alice.here("room/1") == "alice" })
	carol := p.connect("b", p.token("carol"))
	if answer := carol.call("#subscribe", json.RawMessage(`{"channel":"room/1","last":10}`)); answer.Error != nil {
		t.Fatalf("%+v", answer)
	}
	if text := string(carol.event("#publish").Data); !strings.Contains(text, `"from":"bob","text":"hello"`) {
		t.Errorf("carol gets %s", text)
	}

	if answer := alice.call("logoutEverywhere", nil); answer.Error != nil {
		t.Fatalf("%+v", answer)
	}
	again.Event("#removeAuthToken", nil)
	if err := p.connect("b", token).subscribe("room/1"); err == nil || err.Name != "SubscribeError" {
		t.Errorf("the old token: %+v", err)
	}
	p.start("c")
	p.awaitReady("c")
	if err := p.connect("c", token).subscribe("room/1"); err == nil || err.Name != "SubscribeError" {
		t.Errorf("the old token on a node that was away: %+v", err)
	}
}

package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster/examples/internal/site"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
	"github.com/socketcluster-go/socketcluster/wire"
)

func serve(t *testing.T) *site.Server {
	srv, handler, _, err := newHandlers(settings{origins: []string{"localhost:*"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	return site.Serve(t, handler)
}

// join logs a client in and subscribes it to the channel that it is told.
func join(t *testing.T, server *site.Server, credentials any, channel string) *sctest.Client {
	t.Helper()
	c := server.Connect("")
	raw, err := c.Call("login", credentials)
	if err != nil || string(raw) != `"`+channel+`"` {
		t.Fatalf("login: %s, %v", raw, err)
	}
	if err := c.Subscribe(channel); err != nil {
		t.Fatal(err)
	}
	return c
}

// published waits for the next publication.
func published(t *testing.T, c *sctest.Client) string {
	t.Helper()
	var p struct{ Data json.RawMessage }
	c.Event("#publish", &p)
	return string(p.Data)
}

func want(t *testing.T, c *sctest.Client, text string) {
	t.Helper()
	if got := published(t, c); got != text {
		t.Errorf("got %s, want %s", got, text)
	}
}

func TestMessagesReachTheOtherSide(t *testing.T) {
	server := serve(t)
	first, second := join(t, server, "master", "respond"), join(t, server, "master", "respond")
	monitor := join(t, server, map[string]any{}, "log")

	first.Transmit("log", map[string]any{"type": "START", "id": "1"})
	want(t, monitor, `{"id":"1","type":"START"}`)
	first.Transmit("log-noid", map[string]any{"type": "START"})
	var named identified
	if err := json.Unmarshal([]byte(published(t, monitor)), &named); err != nil || named.ID == "" || string(named.Data) != `{"type":"START"}` {
		t.Errorf("got %+v, %v", named, err)
	}

	// One application gets what is for it, and both get what comes after.
	monitor.Transmit("sc-"+named.ID, map[string]any{"type": "DISPATCH"})
	monitor.Transmit("respond", map[string]any{"type": "UPDATE"})
	want(t, first, `{"type":"DISPATCH"}`)
	want(t, first, `{"type":"UPDATE"}`)
	want(t, second, `{"type":"UPDATE"}`)
}

// An application that comes after the monitors is asked for its state.
func TestMonitorsAreThereFirst(t *testing.T) {
	server := serve(t)
	first := join(t, server, "master", "respond")
	join(t, server, nil, "log").Transmit("respond", 1)
	want(t, first, "1")
	second := join(t, server, "master", "respond")
	want(t, second, `{"type":"START"}`)
	second.Transmit("respond", 2)
	want(t, first, "2")
}

func TestDepartures(t *testing.T) {
	server := serve(t)
	app := join(t, server, "master", "respond")
	first, second := join(t, server, map[string]any{}, "log"), join(t, server, nil, "log")
	leaving := join(t, server, "master", "respond")
	leaving.Conn.Close()
	for _, monitor := range []*sctest.Client{first, second} {
		if got := published(t, monitor); !strings.Contains(got, `"type":"DISCONNECTED"`) {
			t.Errorf("got %s", got)
		}
	}

	// Only the last monitor stops the application.
	if _, err := second.Call("login", map[string]any{}); err != nil { // counts once
		t.Fatal(err)
	}
	first.Conn.Close()
	second.Transmit("respond", "still here")
	want(t, app, `"still here"`)
	second.Conn.Close()
	if got := published(t, app); !strings.Contains(got, `"type":"DISCONNECTED"`) {
		t.Errorf("got %s", got)
	}
}

func TestNothingElseIsAllowed(t *testing.T) {
	server := serve(t)
	c := join(t, server, nil, "log")
	if err := c.Subscribe("other"); !errors.Is(err, &wire.Error{Name: "SubscribeError"}) {
		t.Errorf("another channel: %v", err)
	}
	if err := c.Publish("log", 1); !errors.Is(err, &wire.Error{Name: "PublishError"}) {
		t.Errorf("a publication: %v", err)
	}
	c.Transmit("sc-", 1)
	c.Transmit("other", 1)
	c.Transmit("log", "after these")
	want(t, c, `"after these"`)

	for _, header := range [][]string{{"Origin", "https://elsewhere.example"}, {"Origin", "null"}} {
		if status, text := server.Do("POST", "/", `{"op":"list"}`, header...); status != http.StatusForbidden {
			t.Errorf("%s: %d %s", header, status, text)
		}
	}
}

func TestReports(t *testing.T) {
	server := serve(t)
	monitor := join(t, server, nil, "log")
	if err := monitor.Subscribe("report"); err != nil {
		t.Fatal(err)
	}
	want(t, monitor, `{"type":"list","data":[]}`)
	status, text := server.Do("POST", "/", `{"type":"STATE","payload":"{}","action":"broken","more":1}`, "Origin", "http://localhost:3000")
	var added struct{ ID string }
	if err := json.Unmarshal([]byte(text), &added); err != nil || status != http.StatusOK || added.ID == "" {
		t.Fatalf("%d %s", status, text)
	}
	if got := published(t, monitor); !strings.HasPrefix(got, `{"type":"add","data":{"id":"`+added.ID+`","title":"broken"`) {
		t.Errorf("got %s", got)
	}
	raw, err := monitor.Call("getReport", added.ID)
	if err != nil || !strings.Contains(string(raw), `"payload":"{}"`) || !strings.Contains(string(raw), `"more":1`) {
		t.Errorf("the report: %s, %v", raw, err)
	}
	if _, text := server.Do("POST", "/", `{"op":"get","id":"`+added.ID+`"}`); strings.TrimSpace(text) != string(raw) {
		t.Errorf("over HTTP: %s", text)
	}
	if raw, err := monitor.Call("getReport", "other"); err != nil || string(raw) != "null" {
		t.Errorf("no report: %s, %v", raw, err)
	}
	if _, text := server.Do("POST", "/", `{"op":"list"}`); strings.Count(text, added.ID) != 1 {
		t.Errorf("the list: %s", text)
	}
	for _, body := range []string{"", "[]", `{"type":"STATE"}`, `{"type":"OTHER","payload":"{}"}`, `{"type":"STATE","payload":1}`} {
		if status, text := server.Do("POST", "/", body); status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", body, status, text)
		}
	}
	if status, _ := server.Do("OPTIONS", "/", "", "Origin", "http://localhost:3000"); status != http.StatusNoContent {
		t.Errorf("preflight: %d", status)
	}
}

// The oldest reports are dropped.
func TestReportsAreBounded(t *testing.T) {
	kept := reports{limit: 4000}
	body, err := json.Marshal(map[string]string{"type": "STATE", "payload": strings.Repeat("x", 1000)})
	if err != nil {
		t.Fatal(err)
	}
	var last heading
	for range 6 {
		if last, err = kept.add(body); err != nil {
			t.Fatal(err)
		}
	}
	list := kept.list()
	if len(list) != 3 || list[2] != last || kept.size > 4000 {
		t.Errorf("%d reports of %d bytes", len(list), kept.size)
	}
}

package main

import (
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster/cluster"
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

// stats returns what a node says of the cluster.
func (p *processes) stats(name string) (s cluster.Stats) {
	p.t.Helper()
	status, text := p.get(name, clusterPath)
	if err := json.Unmarshal([]byte(text), &s); status != http.StatusOK || err != nil {
		p.t.Fatalf("%d: %s", status, text)
	}
	return s
}

// refusal returns the error of one that connects to a node by TLS without a certificate.
func (p *processes) refusal(name string) error {
	p.t.Helper()
	conn, err := tls.Dial("tcp", p.nodes[name].routes, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close()
	_, err = conn.Read(make([]byte, 1))
	return err
}

// Two processes of the command with a witness are one server by their settings: histories
// outlive the death of one, both see who is there, and a logout everywhere is everywhere.
func TestClusterOfCommands(t *testing.T) {
	t.Parallel()
	p := newProcesses(t, clusterConfig, "a", "b", "c")
	p.start("a")
	p.start("b")
	p.start("c", "--cluster-witness")
	p.awaitReady("a", "b", "c")
	p.await("the metrics of a witness", func() bool {
		status, text := p.get("c", "/metrics")
		return status == http.StatusOK && strings.Contains(text, "\nsocketcluster_cluster_nodes 3\n") && !strings.Contains(text, "\nsocketcluster_connections")
	})
	if conn, err := net.Dial("tcp", p.nodes["c"].addr); err == nil {
		conn.Close()
		t.Error("a witness takes clients")
	}
	if err := p.refusal("a"); err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("a node without a certificate: %v", err)
	}
	token := p.token("alice")
	clients := map[string]*peer{"a": p.connect("a", token), "b": p.connect("b", token)}
	bob := p.connect("b", p.token("bob"))
	for _, c := range []*peer{clients["a"], clients["b"], bob} {
		if err := c.subscribe("room/1"); err != nil {
			t.Fatalf("%+v", err)
		}
	}
	p.await("presence", func() bool { return clients["a"].here("room/1") == "alice bob" })
	answer := bob.call("#publish", json.RawMessage(`{"channel":"room/1","data":{"text":"hello"},"id":"x"}`))
	if answer.Error != nil || !strings.Contains(string(answer.Data), `"position":`) {
		t.Fatalf("%+v", answer)
	}
	if text := string(clients["a"].event("#publish").Data); !strings.Contains(text, `"from":"bob","text":"hello"`) {
		t.Errorf("alice gets %s", text)
	}
	p.await("all copies", func() bool {
		o := runWith(t, "", "cluster", "--metrics-addr", p.nodes["a"].ops)
		return o.status == 0 && strings.Count(o.out, " a b c\n") == 9
	})

	if o := runWith(t, "", "cluster", "--metrics-addr", p.nodes["a"].ops); !strings.Contains(o.out, "\nc     witness  ") || !strings.Contains(o.out, "\nPresence: 2 users in 1 channels; node a has 1 sockets in them\n") {
		t.Errorf("the command shows %s", o.out)
	}

	// One of them dies. If it leads nothing that is needed, there is no election to wait for.
	dead, alive := "b", "a"
	for _, s := range p.stats("a").Streams {
		if s.Leader == "a" && (s.Position > 0 || strings.HasSuffix(s.Name, "revocations")) {
			dead, alive = "a", "b"
		}
	}
	p.kill(dead)
	p.await("the end of a node", func() bool {
		o := runWith(t, "", "cluster", "--metrics-addr", p.nodes[alive].ops)
		return o.status == 1 && strings.Contains(o.out, "WRONG: node "+dead+" is away")
	})
	carol := p.connect(alive, p.token("carol"))
	if answer := carol.call("#subscribe", json.RawMessage(`{"channel":"room/1","last":10}`)); answer.Error != nil {
		t.Fatalf("%+v", answer)
	}
	if text := string(carol.event("#publish").Data); !strings.Contains(text, `"from":"bob","text":"hello"`) {
		t.Errorf("carol gets %s", text)
	}
	if err := carol.publish("room/1", map[string]string{"text": "hello again"}); err != nil {
		t.Errorf("with the witness: %+v", err)
	}
	if answer := clients[alive].call("logoutEverywhere", nil); answer.Error != nil {
		t.Fatalf("%+v", answer)
	}
	clients[alive].Event("#removeAuthToken", nil)
	p.start(dead)
	p.awaitReady(dead)
	if err := p.connect(dead, token).subscribe("room/1"); err == nil || err.Name != "SubscribeError" {
		t.Errorf("the old token on a node that was away: %+v", err)
	}

	// A node is removed only once it is gone.
	remove := func(name string) outcome {
		return runWith(t, "", "cluster", "remove", name, "--config", filepath.Join(p.dir, "c.toml"))
	}
	if o := remove("c"); o.status != 1 || !strings.Contains(o.err, "the node is alive") {
		t.Errorf("a node that is alive: %+v", o)
	}
	p.kill("c")
	if o := remove("c"); o.status != 0 || o.out != "Node c is removed. Nodes with storage: a, b. A majority is 2.\nHistories and revocations wait whenever one of the two is away.\n" {
		t.Errorf("a node that is gone: %+v", o)
	}
}

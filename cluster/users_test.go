package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/cluster"
	"github.com/socketcluster-go/socketcluster/wire"
)

// Whatever node is asked: the sockets of a user, a session, a claim and an ID on all
// nodes are reached, and no others.
func TestTransmitAnywhere(t *testing.T) {
	stations := openAll(t, start(t, 3))
	alice := user{Username: "alice", SID: "s1", Sub: "al"}
	a, b := stations[0].connect(t, alice), stations[1].connect(t, alice)
	c := stations[1].connect(t, user{Username: "alice", SID: "s2"})
	bob := stations[2].connect(t, user{Username: "bob", SID: "s3"})
	anonymous := stations[2].connect(t, nil)
	for i, s := range stations {
		for _, want := range []struct {
			target cluster.Target
			to     []*client
		}{
			{cluster.User("alice"), []*client{a, b, c}},
			{cluster.Session("s1"), []*client{a, b}},
			{cluster.Session("s2"), []*client{c}},
			{cluster.Claim("sub", "al"), []*client{a, b}},
			{cluster.Claim("username", "bob"), []*client{bob}},
			{cluster.Socket(a.socket.ID()), []*client{a}},
			{cluster.Socket(anonymous.socket.ID()), []*client{anonymous}},
		} {
			data := fmt.Sprint(i, want.target)
			n, err := s.node.To(want.target).Transmit(soon(t), "news", data)
			if n != len(want.to) || err != nil {
				t.Errorf("node %d, %v: sent to %d, %v; want %d", i, want.target, n, err, len(want.to))
			}
			for _, c := range want.to {
				if in := c.call(t); in.Event != "news" || string(in.Data) != fmt.Sprintf("%q", data) {
					t.Errorf("node %d, %v: received %s %s", i, want.target, in.Event, in.Data)
				}
			}
		}
		for _, target := range []cluster.Target{
			cluster.User("carol"), cluster.User(""), cluster.User("s1"), cluster.Session("alice"), cluster.Claim("sub", "alice"),
			cluster.User("alic\xff"), cluster.Socket("x"), cluster.Socket(""), cluster.Socket(strings.Repeat("x", 20)),
		} {
			if n, err := s.node.To(target).Transmit(soon(t), "news", nil); n != 0 || !errors.Is(err, cluster.ErrNobody) {
				t.Errorf("%v: %d, %v; want ErrNobody", target, n, err)
			}
		}
	}
	_, err := stations[0].node.To(cluster.User("alice")).Transmit(soon(t), "news", make(chan int))
	wantError(t, err, "encode the data")
	_, err = stations[0].node.To(cluster.User("alice")).Transmit(soon(t), "news", make([]byte, 2<<20))
	wantError(t, err, "max_payload")
	_, err = stations[0].node.To(cluster.User("alice")).Transmit(soon(t), "\xff", nil)
	wantError(t, err, "not UTF-8")
}

// Who calls somebody without a name reaches nobody, not those whose name is empty.
func TestNobodyHasAnEmptyName(t *testing.T) {
	stations := openAll(t, start(t, 1))
	stations[0].connect(t, map[string]any{"username": "", "sid": ""})
	for _, target := range []cluster.Target{cluster.User(""), cluster.Session(""), cluster.Socket("")} {
		if n, err := stations[0].node.To(target).Transmit(soon(t), "news", nil); !errors.Is(err, cluster.ErrNobody) {
			t.Errorf("%v: %d, %v", target, n, err)
		}
	}
}

// Users are found after logins, logouts and the ends of sockets.
func TestWhoIsFound(t *testing.T) {
	stations := openAll(t, start(t, 2))
	c := stations[1].connect(t, nil)
	asked := stations[0]
	for i, step := range []struct {
		change func()
		alice  int
		bob    int
	}{
		{func() { _ = c.socket.SetAuthToken(t.Context(), user{Username: "alice", Sub: "x"}) }, 1, 0},
		{func() { _ = c.socket.SetAuthToken(t.Context(), user{Username: "alice", SID: "s"}) }, 1, 0},
		{func() { _ = c.socket.SetAuthToken(t.Context(), user{Username: "bob"}) }, 0, 1},
		{func() { c.socket.Deauthenticate(t.Context()) }, 0, 0},
		{func() { _ = c.socket.SetAuthToken(t.Context(), map[string]any{"username": 42}) }, 0, 0},
		{func() { _ = c.socket.SetAuthToken(t.Context(), user{Username: "alice"}) }, 1, 0},
		{func() { c.socket.Terminate() }, 0, 0},
	} {
		step.change()
		for name, want := range map[string]int{"alice": step.alice, "bob": step.bob} {
			await(t, fmt.Sprintf("step %d: %d sockets of %s", i, want, name), func() bool {
				n, err := asked.node.To(cluster.User(name)).Transmit(soon(t), "news", nil)
				return n == want && (n > 0 && err == nil || errors.Is(err, cluster.ErrNobody))
			})
		}
	}
	if err := asked.node.Attach(asked.Server); err == nil {
		t.Error("a node has two servers")
	}
}

// Sockets that were there before Attach, and those of a claim that is asked for
// later, are found.
func TestAttachLate(t *testing.T) {
	nodes := start(t, 1)
	s := openStation(t, nodes[0], nil)
	s.connect(t, user{Username: "alice", Sub: "al"})
	late := startNode(t, cluster.Options{Name: "late"})
	if err := late.Attach(s.Server); err != nil {
		t.Fatal(err)
	}
	for _, target := range []cluster.Target{cluster.User("alice"), cluster.Claim("sub", "al")} {
		if n, err := late.To(target).Transmit(soon(t), "news", nil); n != 1 || err != nil {
			t.Errorf("%v: %d, %v", target, n, err)
		}
	}
}

// To finds a user by the claim by which presence names one.
func TestUserClaim(t *testing.T) {
	names := map[string]string{"": "alice", "sub": "5f", "uid": "7"}
	for claim, name := range names {
		s := openStation(t, startNode(t, cluster.Options{Name: "a", UserClaim: claim}), nil)
		presence, err := cluster.NewPresence(s.node, s.Server, cluster.PresenceOptions{})
		if err != nil {
			t.Fatal(err)
		}
		c := s.connect(t, map[string]any{"username": "alice", "sub": "5f", "uid": 7})
		if err := c.Subscribe("room"); err != nil {
			t.Fatal(err)
		}
		await(t, "somebody is there", func() bool { return presence.NumUsers("room") > 0 })
		if here := presence.Here("room"); len(here) != 1 || here[0].User != name {
			t.Errorf("claim %q: here is %v, want %s", claim, here, name)
		}
		for _, user := range names {
			n, err := s.node.To(cluster.User(user)).Transmit(soon(t), "news", nil)
			if user == name && (n != 1 || err != nil) || user != name && !errors.Is(err, cluster.ErrNobody) {
				t.Errorf("claim %q: %s is %d sockets, %v", claim, user, n, err)
			}
		}
	}
	// There is room for 6 claims besides those of users and sessions.
	s := openStation(t, startNode(t, cluster.Options{Name: "a", UserClaim: "uid"}), nil)
	for _, target := range []cluster.Target{
		cluster.Claim("1", "x"), cluster.Claim("2", "x"), cluster.Claim("3", "x"), cluster.Claim("4", "x"), cluster.Claim("5", "x"), cluster.Claim("6", "x"),
		cluster.User("x"),
	} {
		if _, err := s.node.To(target).Transmit(soon(t), "news", nil); !errors.Is(err, cluster.ErrNobody) {
			t.Errorf("%v: %v", target, err)
		}
	}
}

// The first answer that is no error counts. Without one, all errors are reported, and
// stay what they are.
func TestInvokeAnywhere(t *testing.T) {
	stations := openAll(t, start(t, 3))
	alice := user{Username: "alice"}
	a, b := stations[0].connect(t, alice), stations[1].connect(t, alice)
	to := stations[2].node.To(cluster.User("alice"))
	type result struct {
		data json.RawMessage
		err  error
	}
	invoke := func(ctx context.Context) chan result {
		done := make(chan result, 1)
		go func() {
			data, err := to.Invoke(ctx, "ask", map[string]int{"n": 1})
			done <- result{data, err}
		}()
		return done
	}

	first := invoke(soon(t))
	b.answer(t, "error", `{"name":"NoError","message":"not me"}`)
	if in := a.call(t); in.Event != "ask" || string(in.Data) != `{"n":1}` {
		t.Errorf("received %s %s", in.Event, in.Data)
	} else {
		a.Send(`{"rid":` + string(in.CID) + `,"data":"<é>"}`)
	}
	if r := <-first; r.err != nil || string(r.data) != `"<é>"` {
		t.Errorf("the answer is %s, %v", r.data, r.err)
	}

	first = invoke(soon(t))
	b.answer(t, "error", `{"name":"NoError","message":"not me","n":5}`)
	a.answer(t, "error", `{"name":"NotMeError","message":"nor me"}`)
	r := <-first
	wantError(t, r.err, "node a: socket "+a.socket.ID()+": NotMeError: nor me", "node b: socket "+b.socket.ID()+": NoError: not me")
	for _, name := range []string{"NoError", "NotMeError"} {
		if !errors.Is(r.err, &wire.Error{Name: name}) {
			t.Errorf("%v is no %s", r.err, name)
		}
	}

	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if r := <-invoke(ctx); !errors.Is(r.err, context.DeadlineExceeded) && !errors.Is(r.err, wire.ErrTimeout) {
		t.Errorf("nobody answers: %v", r.err)
	}
	a.call(t)
	b.call(t)
	ctx, cancel = context.WithCancel(t.Context())
	waiting := invoke(ctx)
	a.call(t)
	cancel()
	if r := <-waiting; !errors.Is(r.err, context.Canceled) {
		t.Errorf("the caller has gone: %v", r.err)
	}
	b.call(t)
	if r := <-invoke(ctx); !errors.Is(r.err, context.Canceled) {
		t.Errorf("the caller had gone: %v", r.err)
	}

	// One socket ends while it is asked.
	first = invoke(soon(t))
	a.call(t)
	b.call(t)
	b.Close()
	a.Close()
	if r := <-first; !errors.Is(r.err, wire.ErrBadConnection) {
		t.Errorf("the sockets have ended: %v", r.err)
	}
	if _, err := to.Invoke(soon(t), "ask", nil); !errors.Is(err, cluster.ErrNobody) {
		t.Errorf("nobody is there: %v", err)
	}
}

// All answers come, with the sockets and nodes that gave them.
func TestInvokeAll(t *testing.T) {
	stations := openAll(t, start(t, 2))
	alice := user{Username: "alice"}
	a, b, c := stations[0].connect(t, alice), stations[1].connect(t, alice), stations[1].connect(t, alice)
	go a.answer(t, "data", `1`)
	go b.answer(t, "data", `2`)
	go c.answer(t, "error", `{"name":"NoError","message":"not me"}`)
	answers, err := stations[0].node.To(cluster.User("alice")).InvokeAll(soon(t), "ask", nil)
	wantError(t, err, "node b: socket "+c.socket.ID()+": NoError: not me")
	got := make(map[string]string)
	for _, answer := range answers {
		got[answer.Node+" "+answer.Socket] = fmt.Sprint(string(answer.Data), " ", answer.Err)
	}
	want := map[string]string{"a " + a.socket.ID(): "1 <nil>", "b " + b.socket.ID(): "2 <nil>", "b " + c.socket.ID(): " NoError: not me"}
	if !maps.Equal(got, want) {
		t.Errorf("the answers are %v, want %v", got, want)
	}
}

// An answer that no message can carry is an error, and not silence.
func TestLargeAnswer(t *testing.T) {
	nodes := start(t, 2)
	s := openStation(t, nodes[1], func(cfg *socketcluster.Config) { cfg.Limits.MessageSize = 4 << 20 })
	c := s.connect(t, user{Username: "alice"})
	go c.answer(t, "data", `"`+strings.Repeat("x", 3<<20)+`"`)
	_, err := nodes[0].To(cluster.User("alice")).Invoke(soon(t), "ask", nil)
	wantError(t, err, "node b: socket "+c.socket.ID()+": cluster: an answer of", "max_payload")
}

// ghost is a node that says that it lives, and nothing else.
func ghost(t *testing.T) (url string, say func(leaving bool)) {
	t.Helper()
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("NATS does not start")
	}
	t.Cleanup(func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	})
	nc, err := nats.Connect(srv.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return srv.ClientURL(), func(leaving bool) {
		if err := nc.Publish("sc.n.beat", fmt.Appendf(nil, `{"node":"ghost","instance":"1","leaving":%t}`, leaving)); err != nil {
			t.Error(err)
		}
	}
}

// A node that does not answer is waited for until it is gone, or ctx ends, and is an
// error unless another one has answered.
func TestCallMeetsDeath(t *testing.T) {
	url, say := ghost(t)
	node := startNode(t, cluster.Options{Name: "a", URL: url})
	s := openStation(t, node, nil)
	c := s.connect(t, user{Username: "alice"})
	await(t, "the ghost", func() bool {
		say(false)
		return slices.Contains(node.Nodes(), "ghost")
	})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	n, err := node.To(cluster.User("alice")).Transmit(ctx, "news", nil)
	if n != 1 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("sent to %d, %v", n, err)
	}
	wantError(t, err, "node ghost has not answered")

	go func() {
		for in := c.call(t); ; in = c.call(t) {
			if in.Event == "ask" {
				c.Send(`{"rid":` + string(in.CID) + `,"data":7}`)
				return
			}
		}
	}()
	if data, err := node.To(cluster.User("alice")).Invoke(soon(t), "ask", nil); string(data) != "7" || err != nil {
		t.Errorf("the answer is %s, %v", data, err)
	}

	time.AfterFunc(50*time.Millisecond, func() { say(true) })
	n, err = node.To(cluster.User("bob")).Transmit(soon(t), "news", nil)
	var gone *cluster.RemoteError
	if n != 0 || !errors.Is(err, cluster.ErrNodeGone) || !errors.As(err, &gone) || gone.Node != "ghost" {
		t.Errorf("sent to %d, %v", n, err)
	}
	if n, err := node.To(cluster.User("alice")).Transmit(soon(t), "news", nil); n != 1 || err != nil {
		t.Errorf("after the end of the ghost: %d, %v", n, err)
	}

	await(t, "the ghost", func() bool {
		say(false)
		return slices.Contains(node.Nodes(), "ghost")
	})
	time.AfterFunc(50*time.Millisecond, node.Close)
	if _, err := node.To(cluster.User("alice")).Transmit(soon(t), "news", nil); err == nil {
		t.Error("a call outlives its node")
	}
	if _, err := node.To(cluster.User("alice")).Transmit(soon(t), "news", nil); err == nil {
		t.Error("a closed node calls")
	}
}

// Kicking out, disconnecting and what fails on the way.
func TestActAnywhere(t *testing.T) {
	stations := openAll(t, start(t, 2))
	alice := user{Username: "alice"}
	a, b := stations[0].connect(t, alice), stations[1].connect(t, alice)
	if err := a.Subscribe("room"); err != nil {
		t.Fatal(err)
	}
	to := stations[1].node.To(cluster.User("alice"))
	if n, err := to.KickOut(soon(t), "room", "out"); n != 1 || err != nil {
		t.Errorf("kicked out %d, %v", n, err)
	}
	var kicked struct{ Channel, Message string }
	if a.Event("#kickOut", &kicked); kicked.Channel != "room" || kicked.Message != "out" || a.socket.IsSubscribed("room") {
		t.Errorf("kicked out by %+v", kicked)
	}
	if n, err := to.KickOut(soon(t), "room", nil); n != 0 || err != nil {
		t.Errorf("kicked out of nothing: %d, %v", n, err)
	}
	if n, err := to.Disconnect(soon(t), 1, ""); n != 0 || err == nil {
		t.Errorf("a bad code closes %d, %v", n, err)
	}
	if n, err := to.Disconnect(soon(t), 4501, "go"); n != 2 || err != nil {
		t.Errorf("closed %d, %v", n, err)
	}
	for _, c := range []*client{a, b} {
		if code := c.Closed(); code != 4501 {
			t.Errorf("closed with %d", code)
		}
	}
	if n, err := to.Transmit(soon(t), "news", nil); n != 0 || !errors.Is(err, cluster.ErrNobody) {
		t.Errorf("after the end: %d, %v", n, err)
	}
}

// Whoever calls while a node is cut off gets what was done on the others, and learns that the
// node may have missed it.
func TestCallMeetsCut(t *testing.T) {
	nodes, _, c := startCut(t, 3, func(*cluster.Options) {})
	stations := openAll(t, nodes)
	alice := user{Username: "alice", SID: "s"}
	a, b := stations[0].connect(t, alice), stations[2].connect(t, alice)
	if err := a.Subscribe("room"); err != nil {
		t.Fatal(err)
	}
	to := nodes[0].To(cluster.User("alice"))
	c.cut(2)
	await(t, "a lost route", func() bool { return len(nodes[0].Nodes()) < 3 })
	check := func(what string, n, want int, err error) {
		t.Helper()
		var gone *cluster.RemoteError
		if n != want || !errors.Is(err, cluster.ErrNodeGone) || !errors.As(err, &gone) || gone.Node != "c" {
			t.Errorf("%s: %d sockets, %v", what, n, err)
		}
	}
	n, err := to.Transmit(soon(t), "news", 1)
	check("Transmit", n, 1, err)
	n, err = to.KickOut(soon(t), "room", nil)
	check("KickOut", n, 1, err)
	n, err = to.UpdateClaims(soon(t), map[string]any{"role": "x"})
	check("UpdateClaims", n, 1, err)
	n, err = nodes[0].To(cluster.Socket(b.socket.ID())).UpdateClaims(soon(t), map[string]any{"role": "x"})
	check("UpdateClaims of a socket there", n, 0, err)
	n, err = nodes[0].To(cluster.User("bob")).Disconnect(soon(t), 4501, "")
	check("Disconnect of somebody who may be there", n, 0, err)
	if errors.Is(err, cluster.ErrNobody) {
		t.Errorf("nobody is there, but not all nodes have answered: %v", err)
	}
	go func() {
		for in := a.call(t); ; in = a.call(t) {
			if in.Event == "ask" {
				a.Send(`{"rid":` + string(in.CID) + `,"data":7}`)
				return
			}
		}
	}()
	if data, err := to.Invoke(soon(t), "ask", nil); string(data) != "7" || err != nil {
		t.Errorf("the answer is %s, %v", data, err)
	}

	c.heal(2)
	await(t, "the route", func() bool { return len(nodes[0].Nodes()) == 3 && len(nodes[2].Nodes()) == 3 })
	if n, err := to.Disconnect(soon(t), 4501, ""); n != 2 || err != nil {
		t.Errorf("disconnected %d sockets, %v", n, err)
	}
}

// A node that starts while another one is cut off learns from the rest that it may have missed
// a call.
func TestCallOfNewNodeMeetsCut(t *testing.T) {
	t.Parallel()
	nodes, options, c := startCut(t, 3, func(*cluster.Options) {})
	s := openStation(t, nodes[2], nil)
	s.connect(t, user{Username: "alice"})
	nodes[0].Close()
	c.cut(2)
	await(t, "a lost route", func() bool { return len(nodes[1].Nodes()) == 1 })
	again := startNode(t, options[0])
	await(t, "the other node", func() bool { return len(again.Nodes()) == 2 })
	_, err := again.To(cluster.User("alice")).Disconnect(soon(t), 4501, "")
	var gone *cluster.RemoteError
	if !errors.Is(err, cluster.ErrNodeGone) || !errors.As(err, &gone) || gone.Node != "c" {
		t.Errorf("disconnected: %v", err)
	}
}

package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/cluster"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// serve starts a server on a node, and returns what connects to it.
func serve(t testing.TB, node *cluster.Node, change func(*socketcluster.Config)) (*socketcluster.Server, sctest.Dial) {
	t.Helper()
	cfg := socketcluster.Config{
		Auth: auth.Options{Key: "the key of the tests, which is long"}, AllowMissingOrigin: true,
		Broker: node.Broker(), Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&cfg)
	}
	srv, err := socketcluster.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(srv)
	t.Cleanup(func() {
		web.Close()
		_ = srv.Shutdown(t.Context())
		_ = srv.Close()
	})
	return srv, sctest.TCP(web.Listener.Addr().String())
}

// answer is that to a subscription.
type answer struct {
	Position string
	Lost     *struct{ From, To uint64 }
}

// subscribe subscribes with options, and returns the answer.
func subscribe(t testing.TB, c *sctest.Client, options string) (a answer) {
	t.Helper()
	raw, err := c.Call("#subscribe", json.RawMessage(options))
	if err == nil && raw != nil {
		err = json.Unmarshal(raw, &a)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// next returns the data of the next publications, and the position of the last one.
func next(t testing.TB, c *sctest.Client, n int) (all []string, position string) {
	t.Helper()
	for range n {
		var p struct {
			Position string
			Data     json.RawMessage
		}
		c.Event("#publish", &p)
		all, position = append(all, string(p.Data)), p.Position
	}
	return all, position
}

// A subscriber that comes back gets what it has missed, then what is published from then
// on, on any node.
func TestRecovery(t *testing.T) {
	nodes, _ := startStored(t, 3, withHistory)
	var dials []sctest.Dial
	var servers []*socketcluster.Server
	for _, node := range nodes {
		srv, dial := serve(t, node, nil)
		servers, dials = append(servers, srv), append(dials, dial)
	}
	connect := func(i int) *sctest.Client { return sctest.Connect(t, dials[i], "") }
	send := func(i, from, to int) (all []string) {
		for k := from; k < to; k++ {
			if err := servers[i].Exchange().Publish(t.Context(), "chat/a", k); err != nil {
				t.Fatal(err)
			}
			all = append(all, fmt.Sprint(k))
		}
		return all
	}
	c := connect(0)
	first := subscribe(t, c, `{"channel":"chat/a"}`)
	if first.Position == "" || first.Lost != nil {
		t.Fatalf("the first answer is %+v", first)
	}
	want := send(1, 0, 10)
	got, position := next(t, c, 10)
	if !slices.Equal(got, want) {
		t.Errorf("live came %v", got)
	}
	want = send(1, 10, 20)
	// The ring of its node, another node with a ring, and one that must read.
	if _, err := servers[1].Exchange().Subscribe(t.Context(), "chat/a"); err != nil {
		t.Fatal(err)
	}
	for i := range nodes {
		c := connect(i)
		a := subscribe(t, c, `{"channel":"chat/a","since":"`+position+`"}`)
		more := send((i+1)%3, 20+i, 21+i)
		got, _ := next(t, c, 11+i)
		if want = append(want, more...); !slices.Equal(got, want) || a.Lost != nil {
			t.Errorf("node %d gave %v, lost %+v, want %v", i, got, a.Lost, want)
		}
	}
	c = connect(2)
	if a := subscribe(t, c, `{"channel":"chat/a","since":"`+first.Position+`","last":1}`); a.Lost != nil {
		t.Errorf("since the beginning %+v is lost", a.Lost)
	}
	if got, _ := next(t, c, 23); got[0] != "0" || got[22] != "22" {
		t.Errorf("since the beginning came %v", got)
	}
	c = connect(2)
	subscribe(t, c, `{"channel":"chat/a","last":2}`)
	send(0, 23, 24)
	if got, _ := next(t, c, 3); !slices.Equal(got, []string{"21", "22", "23"}) {
		t.Errorf("the last two and a live one are %v", got)
	}
	past, err := servers[0].Exchange().History(t.Context(), "chat/a", 1)
	if err != nil || len(past.Publications) != 1 || string(past.Publications[0].Data) != "23" {
		t.Errorf("the history is %v, %v", past, err)
	}

	// What nobody knows is told, and so is where the channel is now.
	for _, since := range []string{"x", "x.1.1", strings.Replace(position, ".", "0.", 1)} {
		c := connect(1)
		a := subscribe(t, c, `{"channel":"chat/a","since":"`+since+`"}`)
		if a.Lost == nil || a.Lost.From != 0 {
			t.Errorf("since %q the answer is %+v", since, a)
		}
		if got, position := next(t, c, 24); got[0] != "0" || got[23] != "23" || position != past.Position {
			t.Errorf("since %q came %v, up to %s", since, got, position)
		}
	}
	// Other channels have no positions.
	c = connect(0)
	if raw, err := c.Call("#subscribe", json.RawMessage(`{"channel":"news","since":"x","last":5}`)); err != nil || raw != nil {
		t.Errorf("without a history the answer is %s, %v", raw, err)
	}
}

// No publication is missing or twice between what was missed and what is live.
func TestRecoveryDuringPublication(t *testing.T) {
	nodes, _ := startStored(t, 1, withHistory)
	srv, dial := serve(t, nodes[0], nil)
	const n = 600
	done := make(chan error, 1)
	begin := subscribe(t, sctest.Connect(t, dial, ""), `{"channel":"chat/a"}`)
	go func() {
		for k := range n {
			if err := srv.Exchange().Publish(t.Context(), "chat/a", k); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	var clients []*sctest.Client
	for range 30 {
		c := sctest.Connect(t, dial, "").Follow()
		if a := subscribe(t, c, `{"channel":"chat/a","since":"`+begin.Position+`"}`); a.Lost != nil {
			t.Errorf("%+v is lost", a.Lost)
		}
		clients = append(clients, c)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for _, c := range clients {
		got, _ := next(t, c, n)
		for k, text := range got {
			if text != fmt.Sprint(k) {
				t.Fatalf("publication %d is %s", k, text)
			}
		}
	}
}

// Nothing is delivered while a subscriber enters.
func TestJoinHoldsDeliveriesBack(t *testing.T) {
	nodes, _ := startStored(t, 1, withHistory)
	brokers, sinks := begin(t, nodes)
	if err := brokers[0].Subscribe(t.Context(), "chat/a"); err != nil {
		t.Fatal(err)
	}
	publish(t, nodes[0], "chat/a", "", 1)
	done := make(chan error, 1)
	err := brokers[0].(broker.Historian).Join(t.Context(), "chat/a", broker.From{Last: 5}, func(past broker.Past) {
		if len(past.Publications) != 1 || string(past.Publications[0].Data) != "1" {
			t.Errorf("the past is %v", past)
		}
		go func() {
			_, err := nodes[0].Publish(t.Context(), "chat/a", "", []byte("2"))
			done <- err
		}()
		await(t, "storage", func() bool { return len(history(t, nodes[0], "chat/a", 5).Publications) == 2 })
		for range 50 { // it has had time to arrive
			history(t, nodes[0], "chat/a", 5)
		}
		if got := sinks[0].got(); len(got) != 1 {
			t.Errorf("%v was delivered meanwhile", got[1:])
		}
	})
	if err := errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
	sinks[0].await(t, "chat/a 1", "chat/a 2")
}

// What a client has missed does not end it, however much it is.
func TestRecoveryLeavesRoom(t *testing.T) {
	nodes, _ := startStored(t, 1, withHistory)
	_, dial := serve(t, nodes[0], func(cfg *socketcluster.Config) { cfg.Limits.Outbox = 1 << 20 })
	begin := history(t, nodes[0], "chat/a", 1).Position
	large := strings.Repeat("x", 100_000)
	for i := range 20 {
		publish(t, nodes[0], "chat/a", "", `"`+large+fmt.Sprint(i)+`"`)
	}
	c := sctest.Connect(t, dial, "")
	a := subscribe(t, c, `{"channel":"chat/a","since":"`+begin.String()+`"}`)
	if a.Lost == nil {
		t.Error("nothing is lost")
	}
	got, last := next(t, c, 5)
	if !strings.HasSuffix(got[0], `x15"`) || !strings.HasSuffix(got[4], `x19"`) {
		t.Errorf("the last ends with %s", got[4][len(got[4])-5:])
	}
	// The answer has the position that these come after, and an empty past is there itself.
	c = sctest.Connect(t, dial, "")
	if again := subscribe(t, c, `{"channel":"chat/a","since":"`+a.Position+`"}`); again.Lost != nil {
		t.Errorf("since %s %+v is lost", a.Position, again.Lost)
	}
	if got, _ := next(t, c, 5); !strings.HasSuffix(got[0], `x15"`) {
		t.Errorf("since %s came %s", a.Position, got[0][len(got[0])-5:])
	}
	if empty := subscribe(t, sctest.Connect(t, dial, ""), `{"channel":"chat/a","since":"`+last+`"}`); empty.Position != last || empty.Lost != nil {
		t.Errorf("since %s the answer is %+v", last, empty)
	}
}

// A client that comes to a node that is behind, as it is cut off, is not told that what it
// has is lost, and gets nothing twice.
func TestRecoveryFromANodeThatIsBehind(t *testing.T) {
	t.Parallel()
	nodes, _, c := startCut(t, 3, withHistory)
	three(t, nodes, []string{"chat/a"})
	led := leader(t, nodes, "chat/a")
	cut, other := (led+1)%3, (led+2)%3
	publish(t, nodes[other], "chat/a", "", "1")
	before := history(t, nodes[other], "chat/a", 1).Position
	c.cut(cut)
	await(t, "the node to be alone", func() bool { return len(nodes[cut].Nodes()) == 1 })
	publish(t, nodes[other], "chat/a", "", "2")
	since := history(t, nodes[other], "chat/a", 1).Position
	historian := nodes[cut].Broker().(broker.Historian)

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	err := historian.Join(ctx, "chat/a", broker.From{Since: since.String()}, func(p broker.Past) {
		t.Errorf("the node that is behind says %+v", p)
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the node that is behind says %v", err)
	}
	c.heal(cut)
	for missed, from := range []cluster.Position{since, before} {
		err = historian.Join(t.Context(), "chat/a", broker.From{Since: from.String()}, func(p broker.Past) {
			if len(p.Publications) != missed || p.Lost != nil {
				t.Errorf("after %v, the node says %+v, want %d publications", from, p, missed)
			}
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// Who is connected to a node that was cut off for longer than the history lasts is told, and then
// gets what is there.
func TestGapOfANode(t *testing.T) {
	t.Parallel()
	nodes, _, c := startCut(t, 3, withHistory)
	await(t, "three copies", func() bool { return nodes[0].Complete(t.Context(), "small/a") == 3 })
	leader := ""
	await(t, "a leader", func() bool { leader = nodes[0].Leader(t.Context(), "small/a"); return leader != "" })
	away := 0 // which is not the leader, so that nobody waits for an election
	if leader == "a" {
		away = 1
	}
	home := nodes[(away+1)%3]
	_, dial := serve(t, nodes[away], nil)
	if _, sinks := begin(t, []*cluster.Node{home, nodes[(away+2)%3]}); len(sinks) != 2 {
		t.Fatal("two nodes have no servers")
	}
	client := sctest.Connect(t, dial, "")
	other := sctest.Connect(t, dial, "")
	subscribe(t, client, `{"channel":"small/a"}`)
	subscribe(t, other, `{"channel":"small/b"}`)
	publish(t, home, "small/a", "", "1")
	_, since := next(t, client, 1)
	c.cut(away)
	for i := range 10 {
		publish(t, home, "small/a", "", fmt.Sprint(2+i))
	}
	c.heal(away)
	var told struct {
		Channel string
		answer
	}
	client.Event("#lost", &told)
	if told.Channel != "small/a" || told.Lost == nil || told.Lost.From == 0 {
		t.Errorf("the client is told %+v", told)
	}
	if got, _ := next(t, client, 3); !slices.Equal(got, []string{"9", "10", "11"}) {
		t.Errorf("then came %v", got)
	}
	if got := client.Before(); len(got) > 0 {
		t.Errorf("before came %v", got)
	}
	again := sctest.Connect(t, dial, "")
	if a := subscribe(t, again, `{"channel":"small/a","since":"`+told.Position+`"}`); a.Lost != nil {
		t.Errorf("since the report %v is lost", a.Lost)
	}
	next(t, again, 3)
	again = sctest.Connect(t, dial, "")
	if a := subscribe(t, again, `{"channel":"small/a","since":"`+since+`"}`); a.Lost == nil || *a.Lost != *told.Lost {
		t.Errorf("since before the report %v is lost", a.Lost)
	}
	publish(t, home, "small/b", "", "1")
	next(t, other, 1)
}

// What is lost is told, also while a full history goes on: its oldest publications vanish
// while it is read.
func TestRecoveryOfMovingHistory(t *testing.T) {
	const size = 50
	nodes, _ := startStored(t, 1, func(o *cluster.Options) {
		o.History = []cluster.HistoryRule{{Channel: "chat/*", Size: size, Age: time.Hour}}
	})
	node := nodes[0]
	brokers, _ := begin(t, nodes)
	if err := brokers[0].Subscribe(t.Context(), "chat/a"); err != nil {
		t.Fatal(err)
	}
	publish(t, node, together("chat/a", 1)[0], "", 0) // the stream has something that is older
	begin := publish(t, node, "chat/a", "", 0)
	for i := range 2 * size {
		publish(t, node, "chat/a", "", i)
	}
	ctx, stop := context.WithCancel(t.Context())
	var publisher sync.WaitGroup
	publisher.Go(func() {
		for ctx.Err() == nil {
			_, _ = node.Publish(ctx, "chat/a", "", []byte("1"))
		}
	})
	defer publisher.Wait()
	defer stop()
	for range 300 {
		past := recovered(t, node, "chat/a", begin)
		if len(past.Publications) == 0 {
			t.Fatalf("nothing came; lost is %v", past.Lost)
		}
		if past.Lost == nil || past.Lost.From != begin.Seq+1 || past.Lost.To != past.Publications[0].Position.Seq-1 {
			t.Fatalf("%d publications came, the first is %v, and lost is %v", len(past.Publications), past.Publications[0].Position, past.Lost)
		}
	}
}

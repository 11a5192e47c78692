package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/compat/chaos/judge"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// The load of a round: some 600 publications a second on channels with history, and
// each subscriber gets all of them.
const (
	steadyChannels = 20
	quietChannels  = 120 // each has a few publications, and then none for long
	rooms          = 4   // channels with presence
	freshJoiners   = 3   // on each node, which come to channels that nobody has used
	members        = 36
	users          = 24
)

// quietStep is the step of those who publish something large on the quiet channels.
const quietStep = 7

// hot is a channel on which more is published while its subscriber is away than is kept.
const hot = "history.hot"

// round is a run of a cluster from its start to its end.
type round struct {
	seed   uint64
	faults []fault
	diary  *diary
	site   *site
	rng    *rand.Rand // of the schedule
	log    io.Writer

	mu  sync.Mutex
	err error
}

// fail notes an error of the checker itself.
func (r *round) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = errors.Join(r.err, err)
}

func (r *round) progress(format string, args ...any) { fmt.Fprintf(r.log, format+"\n", args...) }

func (r *round) source(name string) *rand.Rand { return source(r.seed, name) }

// runRound runs a round for some time, and returns what has happened.
func runRound(ctx context.Context, seed uint64, duration time.Duration, chosen []fault, binary string, log io.Writer) (events []judge.Event, nodes []*node, err error) {
	dir, err := os.MkdirTemp("", "chaos-")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(dir)
	r := &round{seed: seed, faults: chosen, diary: &diary{begun: time.Now()}, log: log, rng: source(seed, "schedule")}
	if r.site, err = newSite(dir, binary, r.diary); err != nil {
		return nil, nil, err
	}
	defer r.site.close()
	if !r.site.nodes[0].mounted {
		r.progress("disks cannot be filled: that needs root on Linux")
		r.faults = slices.DeleteFunc(slices.Clone(chosen), func(f fault) bool { return f.name == judge.Fill })
	}
	if len(r.faults) == 0 {
		return nil, nil, errors.New("no fault is possible here")
	}
	if err := r.boot(ctx); err != nil {
		return nil, r.site.nodes, err
	}
	err = r.load(ctx, duration)
	return r.diary.events(), r.site.nodes, errors.Join(err, r.err)
}

// boot starts all nodes.
func (r *round) boot(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healthyWait)
	defer cancel()
	err := errors.Join(each(r.site.nodes, func(n *node) error {
		if err := n.start(ctx); err != nil {
			return err
		}
		return n.healthy(ctx)
	})...)
	if err != nil {
		return err
	}
	for _, n := range r.site.nodes {
		n.set(judge.Up)
	}
	return nil
}

// names returns numbered names.
func names(prefix string, count int) (all []string) {
	for i := range count {
		all = append(all, fmt.Sprint(prefix, i))
	}
	return all
}

// load puts the load on the cluster, brings about the faults, and waits until everybody
// has what they should have.
func (r *round) load(ctx context.Context, duration time.Duration) error {
	steady, quiet := names(judge.SteadyPrefix, steadyChannels), names("history.quiet-", quietChannels)
	all := append(append([]string{hot, "plain.0"}, steady...), quiet...)

	// Subscribers end last, and publishers before them. What has a will of its own is calm
	// between the two.
	following, endFollowing := context.WithCancel(ctx)
	defer endFollowing()
	calm, endFaults := context.WithTimeout(ctx, duration)
	defer endFaults()
	var followers, others sync.WaitGroup
	defer followers.Wait()
	defer endFollowing()

	joiners := r.joiners()
	subscribers := append(r.subscribers(all), joiners...)
	for _, s := range subscribers {
		followers.Go(func() { s.run(following, calm) })
	}
	stock, err := startStock(r, append(append([]string{hot}, steady...), quiet[:quietChannels/2]...))
	if err != nil {
		return err
	}
	defer stock.close()
	if err := r.await(ctx, subscribers, stock); err != nil {
		return err
	}
	r.progress("%v: all subscribers are there", r.diary.now().Round(time.Second))
	for _, p := range r.publishers(steady, quiet) {
		others.Go(func() { p.run(calm) })
	}
	rooms := names("presence.room-", rooms)
	for i := range members {
		user := i % users
		m := &member{r, fmt.Sprint("member-", i), fmt.Sprint("user-", user), rooms[user%len(rooms)], r.source(fmt.Sprint("member-", i))}
		others.Go(func() { m.run(calm) })
	}
	for _, n := range r.site.nodes {
		others.Go(func() { r.observe(calm, n, rooms) })
	}
	others.Go(func() { r.watch(calm) })
	others.Go(func() { r.rights(calm, r.source("rights")) })
	var fresh []string
	others.Go(func() { fresh = r.fresh(calm, joiners, r.source("fresh")) })

	failure := r.schedule(calm)
	endFaults()
	stock.calm()
	others.Wait()
	r.progress("%v: no more faults and publications", r.diary.now().Round(time.Second))
	if failure != nil {
		return failure
	}
	if err := r.await(ctx, subscribers, stock); err != nil {
		return err
	}
	r.settle(ctx)
	return r.audit(ctx, append(all, fresh...))
}

// The checker looks so often whether the machine stands still, as a busy one does, and
// notes it when that was for so long. Nodes lose their routes then.
const (
	watchEvery = 50 * time.Millisecond
	stoodStill = 500 * time.Millisecond
)

// watch notes when the whole machine has stood still.
func (r *round) watch(ctx context.Context) {
	for last := time.Now(); pause(ctx, watchEvery) == nil; last = time.Now() {
		if took := time.Since(last); took > stoodStill {
			r.diary.add(judge.Event{Kind: judge.Still, Took: took})
		}
	}
}

// publishers returns all publishers in Go. Half of those on channels with history publish
// again what was not acknowledged.
func (r *round) publishers(steady, quiet []string) (all []*publisher) {
	add := func(name string, every time.Duration, retries bool, fill string, channel func(n int) string) {
		all = append(all, &publisher{r: r, name: name, every: every, retries: retries, channel: channel, fill: fill, rng: r.source(name)})
	}
	for _, x := range []string{"once", "again"} {
		retries := x == "again"
		for i, channel := range steady {
			add(fmt.Sprintf("steady-%d-%s", i, x), 60*time.Millisecond, retries, usual, func(int) string { return channel })
		}
		add("hot-"+x, 20*time.Millisecond, retries, usual, func(int) string { return hot })
		add("plain-"+x, 50*time.Millisecond, false, usual, func(int) string { return "plain.0" })
		const burst = 3
		rng, channel := r.source("quiet-"+x), ""
		last := 0
		add("large-"+x, 2*time.Second, retries, large, func(n int) string {
			if n%2 == 0 {
				return steady[n/2%len(steady)]
			}
			return quiet[n/2*quietStep%len(quiet)]
		})
		add("quiet-"+x, time.Second, retries, usual, func(n int) string {
			if n%burst == 1 && n != last {
				channel = quiet[rng.IntN(len(quiet))]
			}
			last = n
			return channel
		})
	}
	return all
}

func (r *round) subscribers(all []string) (list []*subscriber) {
	add := func(name string, s *subscriber) {
		s.r, s.name, s.rng = r, name, r.source(name)
		list = append(list, s)
	}
	upTo := func(d time.Duration) func(*rand.Rand) time.Duration {
		return func(rng *rand.Rand) time.Duration { return time.Duration(rng.Int64N(int64(d))) }
	}
	for _, n := range r.site.nodes {
		add("true to "+n.name, &subscriber{channels: all, node: n})
	}
	for _, x := range []string{"x", "y"} {
		add("roaming-"+x, &subscriber{channels: all, stay: upTo(20 * time.Second), away: upTo(3 * time.Second)})
	}
	// It misses more than the history keeps.
	add("sleeper", &subscriber{channels: []string{hot}, stay: upTo(10 * time.Second), away: func(rng *rand.Rand) time.Duration {
		return 8*time.Second + time.Duration(rng.Int64N(int64(10*time.Second)))
	}})
	return list
}

// await waits until all subscribers are subscribed.
func (r *round) await(ctx context.Context, subscribers []*subscriber, stock *stock) error {
	ctx, cancel := context.WithTimeout(ctx, healthyWait)
	defer cancel()
	for _, s := range subscribers {
		for !s.there() {
			if pause(ctx, probeStep) != nil {
				return fmt.Errorf("%s cannot subscribe", s.name)
			}
		}
	}
	for !stock.ready() {
		if pause(ctx, probeStep) != nil {
			return errors.New("the stock clients cannot subscribe")
		}
	}
	return nil
}

// quietTime is for how long nothing must come before all that will come has come. Nodes
// compare what they have with the streams every 2 seconds.
const quietTime = 5 * time.Second

// settle waits until nothing comes any more, or for a minute.
func (r *round) settle(ctx context.Context) {
	last, since := -1, time.Now()
	for begun := time.Now(); time.Since(since) < quietTime && time.Since(begun) < time.Minute; _ = pause(ctx, probeStep) {
		if ctx.Err() != nil {
			return
		}
		r.diary.mu.Lock()
		count := len(r.diary.all)
		r.diary.mu.Unlock()
		if count != last {
			last, since = count, time.Now()
		}
	}
}

// audit reads what the histories have at the end.
func (r *round) audit(ctx context.Context, channels []string) error {
	c := r.dialAny(ctx, r.source("audit"), func(_ *conn, p sctest.Packet) {
		if e, ok := parseChannelEvent(p); ok && p.Event == "#publish" {
			r.diary.add(judge.Event{Kind: judge.Stored, Channel: e.Channel, Publisher: e.Data.P, N: e.Data.N, Position: e.Position})
		}
	})
	if c == nil {
		return ctx.Err()
	}
	defer c.close()
	for _, channel := range channels {
		if _, err := c.call(ctx, "#subscribe", json.RawMessage(fmt.Sprintf(`{"channel":%q,"last":%d}`, channel, judge.HistorySize)), callTimeout); err != nil {
			return fmt.Errorf("read the history of %s at the end: %w", channel, err)
		}
	}
	return nil
}

//go:build slow

package cluster_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/cluster"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// fleetVar is the variable of the environment with the fleetOptions of a process of a fleet.
const fleetVar = "CLUSTER_TEST_FLEET"

func init() { roles[fleetVar] = runFleet }

// trials is how often the tests of fleets try each fault.
var trials = flag.Int("trials", 1, "how often tests of processes try each fault")

type fleetOptions struct {
	Name, Listen, Store, Control string
	Routes                       []string
}

// fleetChannels and fleetRate are those of the load: 500 publications a second.
const (
	fleetChannels = 50
	fleetRate     = 500
)

// sent is a publication that was acknowledged, or failed.
type sent struct {
	Channel string
	Text    string
	Seq     uint64
	Begun   time.Time
	Took    time.Duration
	Failure string
}

// runFleet is a node with histories, until SIGTERM or the end of its standard input.
// It obeys by HTTP: /leader, /load, /end and /history.
func runFleet(text string) {
	var o fleetOptions
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		log.Fatal(err)
	}
	options := cluster.Options{Name: o.Name, Listen: o.Listen, Routes: o.Routes, Secret: secret, StoreDir: o.Store, Logger: slog.New(slog.DiscardHandler)}
	withLongHistory(&options)
	node, err := cluster.Start(context.Background(), options)
	if err != nil {
		log.Fatal(err)
	}
	var mu sync.Mutex
	var over sync.WaitGroup
	var results []sent
	ctx, stop := context.WithCancel(context.Background())
	mux := http.NewServeMux()
	answer := func(path string, f func(r *http.Request) any) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { _ = json.NewEncoder(w).Encode(f(r)) })
	}
	answer("/leader", func(r *http.Request) any {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		return node.Leader(ctx, r.FormValue("channel"))
	})
	answer("/complete", func(r *http.Request) any {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		least := 3
		for i := range fleetChannels {
			least = min(least, node.Complete(ctx, fleetChannel(i)))
		}
		return least
	})
	answer("/load", func(r *http.Request) any {
		run := r.FormValue("run")
		for i := range fleetChannels {
			over.Go(func() {
				tick := time.NewTicker(fleetChannels * time.Second / fleetRate)
				defer tick.Stop()
				for count := 0; ctx.Err() == nil; count++ {
					<-tick.C
					s := sent{Channel: fleetChannel(i), Text: fmt.Sprint(run, " ", count), Begun: time.Now()}
					p, err := node.Publish(context.Background(), s.Channel, s.Text, []byte(s.Text))
					s.Took, s.Seq = time.Since(s.Begun), p.Seq
					if err != nil {
						s.Failure = err.Error()
					}
					mu.Lock()
					results = append(results, s)
					mu.Unlock()
				}
			})
		}
		return nil
	})
	answer("/end", func(*http.Request) any {
		stop()
		over.Wait()
		ctx, stop = context.WithCancel(context.Background())
		mu.Lock()
		defer mu.Unlock()
		all := results
		results = nil
		return all
	})
	answer("/history", func(r *http.Request) any {
		past, err := node.History(r.Context(), r.FormValue("channel"), 10_000)
		if err != nil {
			return []sent{}
		}
		all := []sent{}
		for _, p := range past.Publications {
			all = append(all, sent{Text: string(p.Data), Seq: p.Position.Seq})
		}
		return all
	})
	l, err := net.Listen("tcp", o.Control)
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(http.Serve(l, mux)) }()
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1) // the test has ended, whichever way
	}()
	<-terminate
	node.Close()
}

func fleetChannel(i int) string { return fmt.Sprint("chat/", i) }

// ship is a process of a fleet.
type ship struct {
	t   *testing.T
	o   fleetOptions
	cmd *exec.Cmd
	in  io.WriteCloser
}

// startFleet starts n nodes in processes of their own, three at most, and waits until
// all streams have as many copies.
func startFleet(t *testing.T, n int) []*ship {
	t.Helper()
	fleet, routes := make([]*ship, n), make([]string, n)
	for i := range routes {
		routes[i] = sctest.FreeAddr(t)
	}
	dir := t.TempDir()
	for i := range fleet {
		name := string(rune('a' + i))
		fleet[i] = &ship{t: t, o: fleetOptions{Name: name, Listen: routes[i], Store: filepath.Join(dir, name), Control: sctest.FreeAddr(t), Routes: routes}}
		fleet[i].start()
		t.Cleanup(fleet[i].kill)
	}
	awaitComplete(t, fleet)
	return fleet
}

func (s *ship) start() {
	s.t.Helper()
	text, err := json.Marshal(s.o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.cmd = exec.Command(os.Args[0])
	s.cmd.Env = append(os.Environ(), fleetVar+"="+string(text))
	s.cmd.Stderr = os.Stderr
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *ship) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.in.Close()
	_ = s.cmd.Wait()
}

// end ends a process in good order.
func (s *ship) end() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Wait(); err != nil {
		s.t.Fatal(err)
	}
}

// ask asks a process, and reports whether it has answered.
func (s *ship) ask(path string, v any) bool {
	resp, err := http.Get("http://" + s.o.Control + path)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(v) == nil
}

// awaitComplete waits until all processes see that the copies of all streams count, and
// returns how long that took.
func awaitComplete(t *testing.T, fleet []*ship) time.Duration {
	t.Helper()
	begun := time.Now()
	for _, s := range fleet {
		for n := 0; !s.ask("/complete", &n) || n < len(fleet); time.Sleep(50 * time.Millisecond) {
			if time.Since(begun) > time.Minute {
				t.Fatalf("%s sees %d copies", s.o.Name, n)
			}
		}
	}
	return time.Since(begun)
}

// leader returns the index of the process that leads the stream of a channel.
func fleetLeader(t *testing.T, fleet []*ship, channel string) (led int) {
	t.Helper()
	await(t, "a leader", func() bool {
		name := ""
		fleet[0].ask("/leader?channel="+channel, &name)
		led = slices.IndexFunc(fleet, func(s *ship) bool { return s.o.Name == name })
		return led >= 0
	})
	return led
}

// voyage is what a load has gone through.
type voyage struct {
	stall   time.Duration // the longest time without an acknowledgement on a channel's stream, or before the first one
	longest time.Duration // the longest acknowledgement
	acked   int
}

// sail publishes on one process while something happens, and for some seconds after it.
// Nothing may fail, be missing, stored twice or out of order.
func sail(t *testing.T, run int, on *ship, what func()) (v voyage) {
	t.Helper()
	on.ask(fmt.Sprint("/load?run=", run), new(any))
	time.Sleep(time.Second) // the load has a pace of its own
	what()
	time.Sleep(time.Second)
	var all []sent
	if !on.ask("/end", &all) || len(all) == 0 {
		t.Fatal("the process with the load does not answer")
	}
	begun := slices.MinFunc(all, func(a, b sent) int { return a.Begun.Compare(b.Begun) }).Begun
	acks, seqs := make(map[string][]time.Time), make(map[string]map[string]uint64)
	for i := range fleetChannels {
		var history []sent
		channel := fleetChannel(i)
		await(t, "the history", func() bool { return on.ask("/history?channel="+channel, &history) && len(history) > 0 })
		seqs[channel] = make(map[string]uint64)
		for _, s := range history {
			if seqs[channel][s.Text] != 0 {
				t.Errorf("%s has %s twice", channel, s.Text)
			}
			seqs[channel][s.Text] = s.Seq
		}
	}
	last := make(map[string]uint64)
	for _, s := range all {
		if s.Failure != "" {
			t.Errorf("%s on %s has failed after %v: %s", s.Text, s.Channel, s.Took, s.Failure)
			continue
		}
		if seqs[s.Channel][s.Text] != s.Seq || s.Seq <= last[s.Channel] {
			t.Errorf("%s was acknowledged as %d on %s, and is stored as %d, after %d", s.Text, s.Seq, s.Channel, seqs[s.Channel][s.Text], last[s.Channel])
		}
		last[s.Channel] = s.Seq
		stream := cluster.StreamOf(s.Channel)
		acks[stream] = append(acks[stream], s.Begun.Add(s.Took))
		v.longest, v.acked = max(v.longest, s.Took), v.acked+1
	}
	for _, times := range acks {
		times = append(times, begun)
		slices.SortFunc(times, time.Time.Compare)
		for i := 1; i < len(times); i++ {
			v.stall = max(v.stall, times[i].Sub(times[i-1]))
		}
	}
	return v
}

// judge compares the trials of a fault with what is promised, on top of what is lost to
// the machine, which calm shows.
func judge(t *testing.T, fault string, calm voyage, all []voyage, stall, longest time.Duration) {
	t.Helper()
	var stalls, acks []string
	acked := 0
	for _, v := range all {
		stalls, acks, acked = append(stalls, v.stall.Round(time.Millisecond).String()), append(acks, v.longest.Round(time.Millisecond).String()), acked+v.acked
		if v.stall > stall+calm.stall || v.longest > longest+calm.longest {
			t.Errorf("%s: no acknowledgement for %v, and the longest took %v; want %v and %v", fault, v.stall, v.longest, stall, longest)
		}
	}
	t.Logf("%s: %d acknowledged; longest time without one: %s (%v without a fault); longest one: %s (%v)", fault, acked,
		strings.Join(stalls, " "), calm.stall.Round(time.Millisecond), strings.Join(acks, " "), calm.longest.Round(time.Millisecond))
}

// calm is what a load goes through if nothing happens.
func calm(t *testing.T, fleet []*ship) voyage {
	t.Helper()
	return sail(t, -1, fleet[0], func() { time.Sleep(3 * time.Second) })
}

// The death of a leader holds publications up for no longer than an election takes. All
// that was acknowledged is there, once and in order. A process that starts again has all
// within 10 seconds.
func TestFleetKilled(t *testing.T) {
	fleet := startFleet(t, 3)
	still := calm(t, fleet)
	var all []voyage
	for i := range *trials {
		led := fleetLeader(t, fleet, fleetChannel(i))
		all = append(all, sail(t, i, fleet[(led+1)%3], func() {
			fleet[led].kill()
			time.Sleep(electionTime)
			begun := time.Now()
			fleet[led].start()
			if awaitComplete(t, fleet); time.Since(begun) > 10*time.Second {
				t.Errorf("a process counts again %v after its start", time.Since(begun))
			}
			t.Logf("a process counts again %v after its start", time.Since(begun))
		}))
	}
	judge(t, "kill -9 of a leader", still, all, electionTime, electionTime+ackExtra)
}

// Processes that end in good order hold nobody up.
func TestFleetRestarted(t *testing.T) {
	fleet := startFleet(t, 3)
	still := calm(t, fleet)
	var stopped, rolling []voyage
	for i := range *trials {
		led := fleetLeader(t, fleet, fleetChannel(i))
		stopped = append(stopped, sail(t, 2*i, fleet[(led+1)%3], func() { fleet[led].end() }))
		fleet[led].start()
		awaitComplete(t, fleet)
		rolling = append(rolling, sail(t, 2*i+1, fleet[led], func() {
			for k := 1; k < 3; k++ {
				s := fleet[(led+k)%3]
				s.end()
				s.start()
				awaitComplete(t, fleet)
			}
		}))
	}
	judge(t, "a leader ends in good order", still, stopped, time.Second/2, time.Second/2)
	judge(t, "two processes start again, one after the other", still, rolling, time.Second/2, time.Second/2)
}

// When one of two processes is killed, publications wait until it is back. None of them
// fails, and none is lost.
func TestFleetOfTwo(t *testing.T) {
	fleet := startFleet(t, 2)
	for i := range *trials {
		v := sail(t, i, fleet[i%2], func() {
			fleet[1-i%2].kill()
			time.Sleep(5 * time.Second) // an election would take so long, if it could succeed
			fleet[1-i%2].start()
			awaitComplete(t, fleet)
		})
		if v.stall < 4*time.Second {
			t.Errorf("publications were acknowledged by one of two nodes: the longest pause is %v", v.stall)
		}
		t.Logf("%d acknowledged; longest time without one: %v", v.acked, v.stall)
	}
}

// A process without a server, such as a witness, takes little.
func TestFleetAtRest(t *testing.T) {
	fleet := startFleet(t, 3)
	clock := func(s *ship) (cpu time.Duration) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		for _, field := range fields[11:13] { // user and system, in hundredths of a second
			ticks, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			cpu += time.Duration(ticks) * 10 * time.Millisecond
		}
		return cpu
	}
	const rest = 20 * time.Second
	before := clock(fleet[0])
	time.Sleep(rest)
	share := float64(clock(fleet[0])-before) / float64(rest)
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", fleet[0].cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rss, _ := strings.Cut(string(text), "VmRSS:")
	t.Logf("a node at rest takes %.1f %% of a core and %s of memory", 100*share, strings.TrimSpace(rss[:strings.IndexByte(rss, '\n')]))
}

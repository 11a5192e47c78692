//go:build linux

package attacks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
)

const (
	mib = 1 << 20

	// memoryLimit is the GOMEMLIMIT of the server, a quarter of which is what
	// all sockets together may hold, as Limits.Budget is not set. The process
	// stays within it, but for what is not the runtime's: its program.
	memoryLimit = 256 * mib

	// attackTime is how long each attack goes on at least, and maxAttackTime until
	// its limit is reached at most: a busy machine takes longer.
	attackTime    = 500 * time.Millisecond
	maxAttackTime = 45 * time.Second
)

// attacker does its worst on a connection until it fails, and is called again
// until ctx ends.
type attacker func(ctx context.Context, server string, i int) error

// begin opens a connection that ends with the attack, and sends the first bytes.
func begin(ctx context.Context, dial func(server, from string) (*client, error), server string, i int, first []byte) (*client, error) {
	c, err := dial(server, address(i))
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Time{})
	context.AfterFunc(ctx, func() { c.SetDeadline(time.Now()) })
	if _, err := c.Write(first); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// each sends the same bytes again and again on a connection of its own, and
// never reads.
func each(prepare []byte, again []byte) attacker {
	return func(ctx context.Context, server string, i int) error {
		c, err := begin(ctx, open, server, i, prepare)
		if err != nil {
			return err
		}
		defer c.Close()
		for {
			if _, err := c.Write(again); err != nil {
				return err
			}
		}
	}
}

// hold sends bytes once, and keeps the connection for as long as the server
// does.
func hold(dial func(server, from string) (*client, error), once []byte) attacker {
	return func(ctx context.Context, server string, i int) error {
		c, err := begin(ctx, dial, server, i, once)
		if err != nil {
			return err
		}
		defer c.Close()
		for { // a close frame is not answered
			if _, err := c.In.Discard(1); err != nil {
				return err
			}
		}
	}
}

// longURL makes the URL as long as the server's HTTP allows.
func longURL(dial func(server, from, url string) (*client, error)) func(server, from string) (*client, error) {
	url := "/socketcluster/?" + strings.Repeat("q", 32_000)
	return func(server, from string) (*client, error) { return dial(server, from, url) }
}

// overTLS attacks the port for TLS.
func overTLS(attack attacker) attacker {
	return func(ctx context.Context, server string, i int) error {
		resp, err := http.Get("http://" + server + "/tls")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		secure, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		return attack(ctx, "tls:"+string(secure), i)
	}
}

// address is one for each attacker, of a range that the server counts.
func address(i int) string { return fmt.Sprintf("198.51.%d.%d", i/250, i%250+1) }

var limits = socketcluster.Limits{Calls: 256}

func TestAttacks(t *testing.T) {
	victim := build(t)
	large := strings.Repeat("x", 200_000)
	handshakes, perAddress, little := limits, limits, limits
	little.Budget = 16 * mib // where an attack takes long to send more
	handshakes.PendingHandshakes = 300
	perAddress.ConnectionsPerAddress = 100
	for _, test := range []struct {
		name      string
		limits    socketcluster.Limits
		attackers int
		attack    attacker
		hits      string // the limit that holds
	}{
		{"slow readers of busy channels", little, 150, publishUnread, "Limits.Budget"},
		{"calls without reading the answers", little, 150, each(nil, text(`{"event":"echo","cid":2,"data":"`+large+`"}`)), "Limits.Budget"},
		{"unfinished messages", limits, 300, hold(open, frame(ws.NewFrame(ws.OpText, false, []byte(strings.Repeat("x", 900_000))))), "Limits.Budget"},
		{"large calls of a slow procedure", little, 100, each(nil, text(`{"event":"slow","cid":2,"data":"`+large+`"}`)), "Limits.Budget"},
		{"subscriptions with long names and data", limits, 60, subscribeMuch, "Limits.Budget"},
		{"subscriptions with short names", limits, 300, subscribeOften, "Limits.Budget"},
		{"large calls of slow loops", little, 20, loops, "Limits.Budget"},
		{"long names of events", little, 60, names(strings.Repeat("x", 900_000)), "Limits.Budget"},
		{"many procedures", limits, 1000, names(""), "Limits.Budget"},
		{"long URLs", limits, 3000, hold(longURL(openURL), nil), "Limits.Budget"},
		{"long URLs without a handshake", limits, 3000, hold(longURL(dialURL), nil), "Limits.Budget"},
		{"calls that are left behind", little, 30, leave, "Limits.Budget"},
		{"large batches", limits, 30, each(nil, text("["+strings.Repeat(`{"event":"echo","cid":2,"data":"`+strings.Repeat("x", 150)+`"},`, 4999)+`{"event":"x"}]`)), "Limits.Calls"},
		{"small messages", limits, 30, each(nil, []byte(strings.Repeat(string(text(`{"event":"x"}`)), 1000))), "Limits.CallRate"},
		{"batches with too many packets", limits, 30, each(nil, text("["+strings.Repeat(`1,`, 500_000)+`1]`)), "Limits.BatchSize"},
		{"deep JSON", limits, 30, each(nil, text(strings.Repeat("[", 500_000)+strings.Repeat("]", 500_000))), "Limits.Depth"},
		{"tokens", limits, 30, each(nil, text(`{"event":"#authenticate","cid":2,"data":"`+strings.Repeat("x", 1_000_000)+`"}`)), "Limits.TokenSize"},
		{"compression bombs", limits, 30, each(nil, repeatDeflated(strings.Repeat("x", mib), 64)), "Limits.MessageSize"},
		{"compressed messages", limits, 30, each(nil, deflated(`{"event":"echo","cid":2,"data":"`+strings.Repeat("x", 1_000_000)+`"}`)), ""},
		{"compressed messages of many", limits, 2000, hold(open, deflated(`{"event":"slow","cid":2,"data":"`+strings.Repeat("x", 100_000)+`"}`)), "Limits.Budget"},
		{"unfinished messages over TLS", limits, 300, overTLS(hold(open, frame(ws.NewFrame(ws.OpText, false, []byte(strings.Repeat("x", 900_000)))))), "Limits.Budget"},
		{"slow readers over TLS", little, 150, overTLS(publishUnread), "Limits.Budget"},
		{"pings", limits, 100, each(nil, []byte(strings.Repeat(string(frame(ws.NewPingFrame(nil))), 1000))), ""},
		{"long pings", limits, 100, each(nil, frame(ws.NewPingFrame([]byte(strings.Repeat("x", 125))))), ""},
		{"connections without a handshake", handshakes, 1000, hold(dial, nil), "Limits.PendingHandshakes"},
		{"connections with a subscription each", little, 2500, hold(open, text(`{"event":"#subscribe","cid":2,"data":{"channel":"a","waitForAuth":true,"data":"`+strings.Repeat("x", 7000)+`"}}`)), "Limits.Connections"},
		{"connections of one address", perAddress, 500, hold(func(server, _ string) (*client, error) { return open(server, "203.0.113.7") }, nil), "Limits.ConnectionsPerAddress"},
	} {
		t.Run(test.name, func(t *testing.T) {
			settings, err := json.Marshal(test.limits)
			if err != nil {
				t.Fatal(err)
			}
			p := proc.Start(t, proc.Binary(victim, "LIMITS="+string(settings), fmt.Sprint("GOMEMLIMIT=", memoryLimit), "GOGC=100"))
			base := resident(t, p, "VmHWM:")
			served := besiege(t, p, test.attackers, test.attack, test.hits)
			st, err := stats(t.Context(), p.Addr())
			if err != nil {
				t.Fatal(err)
			}
			peak := resident(t, p, "VmHWM:")
			t.Logf("%d MiB before, %d MiB at the peak; the honest client was served %d times; hits: %v", base/mib, peak/mib, served, hits(st))
			if peak > base+memoryLimit {
				t.Errorf("%d MiB resident, want at most %d + %d", peak/mib, base/mib, memoryLimit/mib)
			}
			if test.hits != "" && st.LimitHits[test.hits] == 0 {
				t.Errorf("%s was not reached", test.hits)
			}
		})
	}
}

// besiege attacks a server for a while, and until a limit is reached, if one is
// named. It returns how often somebody else was served meanwhile.
func besiege(t *testing.T, p *proc.Process, attackers int, attack attacker, limit string) (served int) {
	t.Helper()
	server := p.Addr()
	honest, err := open(server, "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	defer honest.Close()
	ctx, cancel := context.WithTimeout(t.Context(), maxAttackTime)
	defer cancel()
	var all sync.WaitGroup
	for i := range attackers {
		all.Go(func() {
			for ctx.Err() == nil {
				if err := attack(ctx, server, i); errors.Is(err, errRefused) {
					time.Sleep(50 * time.Millisecond)
				}
			}
		})
	}
	all.Go(func() {
		for cid := 2; ctx.Err() == nil; cid++ {
			honest.SetDeadline(time.Now().Add(ioTimeout))
			_, err := honest.Write(text(fmt.Sprintf(`{"event":"echo","cid":%d,"data":"hello"}`, cid)))
			if err == nil {
				_, err = honest.answer(cid)
			}
			if err != nil {
				t.Errorf("the honest client's call %d failed: %v", cid-1, err)
				return
			}
			served++
			time.Sleep(10 * time.Millisecond)
		}
	})
	for time.Sleep(attackTime); ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		if limit == "" || reached(ctx, p, limit) {
			break
		}
	}
	cancel()
	all.Wait()
	return served
}

// reached reports whether a limit has been reached. The log tells it at once, of the
// limits that are logged; a server that is busy answers late, and the attack goes on.
func reached(ctx context.Context, p *proc.Process, limit string) bool {
	if strings.Contains(p.Logs(), "limit="+limit+"\n") {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	st, err := stats(ctx, p.Addr())
	return err == nil && st.LimitHits[limit] > 0
}

// publishUnread publishes to a channel of the attacker's own, and does not read.
func publishUnread(ctx context.Context, server string, i int) error {
	subscribe := text(fmt.Sprintf(`{"event":"#subscribe","cid":2,"data":{"channel":"busy%d"}}`, i))
	publish := text(fmt.Sprintf(`{"event":"#publish","data":{"channel":"busy%d","data":"%s"}}`, i, strings.Repeat("x", 50_000)))
	return each(subscribe, publish)(ctx, server, i)
}

// subscribeMuch fills a socket's set of channels, with data.
func subscribeMuch(ctx context.Context, server string, i int) error {
	c, err := begin(ctx, open, server, i, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	data := strings.Repeat("d", 16_000)
	for n := range 1000 {
		name := strings.Repeat("n", 1000) + strconv.Itoa(i) + "." + strconv.Itoa(n)
		if _, err := c.Write(text(fmt.Sprintf(`{"event":"#subscribe","cid":2,"data":{"channel":"%s","waitForAuth":true,"data":"%s"}}`, name, data))); err != nil {
			return err
		}
	}
	for {
		if _, err := c.answer(3); err != nil {
			return err
		}
	}
}

// subscribeOften fills sets of channels with as little as possible.
func subscribeOften(ctx context.Context, server string, i int) error {
	var all []byte
	for n := range 1000 {
		all = append(all, text(fmt.Sprintf(`{"event":"#subscribe","cid":2,"data":{"channel":"%d.%d"}}`, i, n))...)
	}
	return hold(open, all)(ctx, server, i)
}

// loops gives loops that are slow more than they can take.
func loops(ctx context.Context, server string, i int) error {
	data := strings.Repeat("x", 900_000)
	var all []byte
	for _, name := range []string{"loop", "loopb", "loopc"} {
		all = append(all, text(`{"event":"`+name+`","cid":2,"data":"`+data+`"}`)...)
	}
	return each(nil, all)(ctx, server, i)
}

// names calls procedures that all have names of their own.
func names(suffix string) attacker {
	return func(ctx context.Context, server string, i int) error {
		c, err := begin(ctx, open, server, i, nil)
		if err != nil {
			return err
		}
		defer c.Close()
		for n := 0; ; n++ {
			if _, err := c.Write(text(fmt.Sprintf(`{"event":"%d%s","cid":2}`, n, suffix))); err != nil {
				return err
			}
		}
	}
}

// leave hangs up once it has sent what the server goes on to hold.
func leave(ctx context.Context, server string, i int) error {
	c, err := begin(ctx, open, server, i, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	call := text(`{"event":"serial","cid":2,"data":"` + strings.Repeat("x", 8000) + `"}`)
	for range 250 {
		if _, err := c.Write(call); err != nil {
			return err
		}
	}
	time.Sleep(20 * time.Millisecond) // for the server to take them
	return nil
}

// build builds the server, without the race detector: it is measured.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "victim")
	if out, err := exec.Command("go", "build", "-o", path, "./victim").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

// resident reads a figure of memory of a process.
func resident(t *testing.T, p *proc.Process, field string) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, field); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatalf("no %s in\n%s", field, status)
	return 0
}

func stats(ctx context.Context, server string) (st socketcluster.ServerStats, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+server+"/stats", nil)
	if err != nil {
		return st, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return st, err
	}
	defer resp.Body.Close()
	return st, json.NewDecoder(resp.Body).Decode(&st)
}

// hits are the limits that were reached.
func hits(st socketcluster.ServerStats) map[string]uint64 {
	reached := make(map[string]uint64)
	for name, n := range st.LimitHits {
		if n > 0 {
			reached[name] = n
		}
	}
	return reached
}

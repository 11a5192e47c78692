package client_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/client"
)

// tick is what the timing wheel may add to a delay.
const tick = 20 * time.Millisecond

// After which codes a client connects again, and when (CL-11).
func TestReconnectCodes(t *testing.T) {
	for _, test := range []struct {
		code     int
		min, max time.Duration
		never    bool
	}{
		{code: 1000, never: true},
		{code: 4500, never: true},
		{code: 4999, never: true},
		{code: 4000}, {code: 4001}, {code: 1005},
		{code: 1001, min: 10 * time.Second, max: 20 * time.Second},
		{code: 1006, min: 10 * time.Second, max: 20 * time.Second},
		{code: 4499, min: 10 * time.Second, max: 20 * time.Second},
		{code: 3000, min: 10 * time.Second, max: 20 * time.Second},
	} {
		withFake(t, func(t *testing.T, s *fake) {
			c, p := s.connect(client.Options{})
			switch test.code {
			case 1005:
				p.write("\x88\x00")
			case 1006:
				p.Close()
			default:
				p.write(closing(test.code, ""))
			}
			synctest.Wait()
			began := time.Now()
			at, ok := c.NextAttempt()
			if test.never {
				time.Sleep(time.Hour)
				if ok || c.State() != socketcluster.Closed {
					t.Errorf("%d: %v at %v", test.code, c.State(), at)
				}
				return
			}
			if test.max > 0 && (!ok || at.Sub(began) < test.min || at.Sub(began) > test.max) {
				t.Errorf("%d: next attempt in %v", test.code, at.Sub(began))
			}
			s.greet(2, noToken)
			if took := time.Since(began); took < test.min || took > test.max+tick {
				t.Errorf("%d: connected after %v", test.code, took)
			}
			if _, ok := c.NextAttempt(); ok {
				t.Error("an attempt is pending")
			}
		})
	}
}

// delays lets attempts fail, and returns the time before each.
func delays(s *fake, n int) (all []time.Duration) {
	last := time.Now()
	for range n {
		nc, _ := s.raw()
		all = append(all, time.Since(last).Round(time.Millisecond))
		nc.Close()
		synctest.Wait()
		last = time.Now()
	}
	return all
}

// The delays grow by the multiplier up to the maximum, and begin anew after a handshake
// (CL-12).
func TestBackOff(t *testing.T) {
	o := client.Reconnect{InitialDelay: 50 * time.Millisecond, Randomness: -1, Multiplier: 1.5, MaxDelay: 120 * time.Millisecond}
	withFake(t, func(t *testing.T, s *fake) {
		c := s.new(client.Options{Reconnect: o})
		connecting(c)
		want := []time.Duration{50, 75, 113, 120, 120}
		delays(s, 1)
		for range 2 {
			got := delays(s, 5)
			for i := range want {
				// The wheel has ticks of 10 ms.
				if early := got[i] - want[i]*time.Millisecond; early < 0 || early > 10*time.Millisecond {
					t.Errorf("delays %v, want %v ms", got, want)
					break
				}
			}
			p := s.accept()
			var handshake struct{ CID int }
			if err := json.Unmarshal([]byte(p.next()), &handshake); err != nil {
				t.Fatal(err)
			}
			p.send(fmt.Sprintf(`{"rid":%d,"data":{"id":"x"}}`, handshake.CID))
			synctest.Wait()
			if c.State() != socketcluster.Open {
				t.Fatal(c.State())
			}
			p.Close()
			synctest.Wait()
		}
	})
}

// The attempt after a lost connection is at once for some codes, but only the first (CL-12).
func TestAtOnceOnlyOnce(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		_, p := s.connect(client.Options{Reconnect: client.Reconnect{InitialDelay: time.Second, Randomness: -1, Multiplier: 2}})
		p.write("\x88\x00")
		synctest.Wait()
		for _, want := range []time.Duration{0, 2 * time.Second, 4 * time.Second} {
			began := time.Now()
			p := s.accept()
			if took := time.Since(began); took < want || took > want+tick {
				t.Errorf("after %v, want %v", took, want)
			}
			p.next()
			p.write("\x88\x00")
			synctest.Wait()
		}
	})
}

// The default delay is spread over ten seconds.
func TestRandomness(t *testing.T) {
	var all []time.Duration
	for range 30 {
		withFake(t, func(t *testing.T, s *fake) {
			c, p := s.connect(client.Options{})
			p.Close()
			synctest.Wait()
			at, _ := c.NextAttempt()
			all = append(all, time.Until(at))
		})
	}
	slices.Sort(all)
	if first, last := all[0], all[len(all)-1]; first < 10*time.Second || last > 20*time.Second || last-first < 3*time.Second {
		t.Errorf("from %v to %v", first, last)
	}
}

// A client that does not connect again by itself does so when it is asked to: by
// Connect, Transmit, Invoke and Publish, but not by Subscribe (CL-14). Everything leaves in
// order then (CL-15).
func TestConnectsForWhatIsSent(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{Reconnect: client.Reconnect{Disabled: true}})
		p.Close()
		synctest.Wait()
		time.Sleep(time.Hour)
		if _, err := c.Subscribe(t.Context(), "a", client.PendingOK()); err != nil {
			t.Fatal(err)
		}
		if c.State() != socketcluster.Closed {
			t.Fatal(c.State())
		}
		for i, send := range []func() error{
			func() error { return c.Transmit(t.Context(), "e", nil) },
			func() error { return c.TransmitPublish(t.Context(), "e", nil) },
		} {
			if err := send(); err != nil {
				t.Fatal(err)
			}
			p = s.greet(2+2*i, noToken)
			p.next() // #subscribe
			p.want([]string{`{"event":"e"}`, `{"event":"#publish","data":{"channel":"e"}}`}[i])
			if err := c.Disconnect(0, ""); err != nil {
				t.Fatal(err)
			}
			p.wantClose(1000, "")
		}
		answered := calling(c, "p", 1)
		p = s.greet(6, noToken)
		p.next()
		p.want(`{"event":"p","data":1,"cid":8}`) // the counter goes on: RPC-2
		p.send(`{"rid":8}`)
		if err := <-answered; err != nil {
			t.Error(err)
		}
	})
}

// A client that has not noticed that pings no longer come, connects again before it sends
// (PP-9).
func TestStale(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c := s.new(client.Options{})
		connected := connecting(c)
		p := s.accept()
		p.next()
		p.send(`{"rid":1,"data":{"id":"x","pingTimeout":5001}}`)
		if err := <-connected; err != nil {
			t.Fatal(err)
		}
		r := record(t, c)
		time.Sleep(5001 * time.Millisecond) // the wheel, which has ticks of 10 ms, has not noticed
		if err := c.Transmit(t.Context(), "a", nil); err != nil {
			t.Fatal(err)
		}
		const reason = "Stale socket was disconnected by the client to initiate a new connection"
		r.want("disconnect 1000 "+reason, "close 1000 "+reason, "connecting")
		p.wantClose(1000, reason)
		p = s.greet(2, noToken)
		p.want(`{"event":"a"}`)
	})
}

// The options of reconnecting are checked (CL-1).
func TestReconnectOptions(t *testing.T) {
	for _, r := range []client.Reconnect{
		{InitialDelay: 1000}, {Randomness: 1000}, {MaxDelay: 1000}, {MaxDelay: -1}, {Multiplier: 0.5}, {Multiplier: -1},
	} {
		if _, err := client.New(serverURL, client.Options{Reconnect: r}); err == nil {
			t.Errorf("%+v was accepted", r)
		}
	}
}

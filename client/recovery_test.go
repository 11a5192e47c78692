package client_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/client"
)

// at is a publication on the channel a with a position.
func at(position, data string) string {
	return `{"event":"#publish","data":{"channel":"a","position":"` + position + `","data":` + data + `}}`
}

// messages reads what waits for a subscription that has ended: publications, and what is
// lost.
func messages(sub *client.Subscription) (texts []string) {
	for n, err := range client.Messages[int](sub) {
		if lost, ok := errors.AsType[*socketcluster.LostError](err); ok {
			texts = append(texts, fmt.Sprintf("%s %d-%d at %s", lost.Channel, lost.From, lost.To, lost.Position))
			continue
		}
		texts = append(texts, fmt.Sprint(n))
	}
	return texts
}

// recordLost notes what is lost.
func recordLost(t *testing.T, c *client.Client) *recorder {
	r := &recorder{t: t}
	client.On(c, func(e client.LostEvent) { r.note("lost %s %d-%d at %s", e.Channel, e.From, e.To, e.Position) })
	return r
}

// The client continues where it was, on any connection, and gets nothing twice.
func TestRecovery(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		r := recordLost(t, c)
		sub := subscribe(t, c, "a", client.Last(5))
		p.want(`{"event":"#subscribe","data":{"channel":"a","last":5},"cid":2}`)
		// The connection ends before the answer: what has come counts.
		p.send(at("e.8.1", "8"), at("e.9.1", "9"))
		synctest.Wait()
		p.Close()
		connecting(c)
		p = s.greet(3, noToken)
		p.want(`{"event":"#subscribe","data":{"channel":"a","since":"e.9.1"},"cid":4}`)
		// What is live may come before the answer, which is behind then. A number may have more digits.
		p.send(at("e.z.1", "10"), at("e.10.1", "11"), `{"rid":4,"data":{"position":"e.z.1"}}`, at("e.10.1", "0"), at("e.9.1", "0"), at("e.11.2", "12"))
		synctest.Wait()
		p.Close()
		connecting(c)
		p = s.greet(5, noToken)
		p.want(`{"event":"#subscribe","data":{"channel":"a","since":"e.11.2"},"cid":6}`)
		p.send(`{"rid":6,"data":{"position":"e.20.2"}}`)
		synctest.Wait()
		p.Close()
		connecting(c)
		p = s.greet(7, noToken)
		p.want(`{"event":"#subscribe","data":{"channel":"a","since":"e.20.2"},"cid":8}`)
		r.want()
		// A channel that the client leaves, and wants again, begins anew.
		sub.Close()
		p.want(`{"event":"#unsubscribe","data":"a"}`)
		subscribe(t, c, "a")
		p.want(`{"event":"#subscribe","data":{"channel":"a"},"cid":9}`)
		p.send(`{"rid":9,"data":{"position":"e.20.2"}}`)
		synctest.Wait()
		p.send(`{"event":"#kickOut","data":{"channel":"a"}}`)
		synctest.Wait()
		subscribe(t, c, "a")
		p.want(`{"event":"#subscribe","data":{"channel":"a"},"cid":10}`)
	})
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		sub := subscribe(t, c, "a")
		p.next()
		p.send(at("e.1.1", "1"), at("e.1.1", "0"), at("f.1.1", "2"), at("x", "3"), at("x", "4"), at("f."+strings.Repeat("1", 200), "5"),
			`{"event":"#publish","data":{"channel":"a","data":6}}`, at("f.1.2", "0"), at("f.2.2", "7"))
		synctest.Wait()
		c.Unsubscribe("a")
		if got, want := messages(sub), []string{"1", "2", "3", "4", "5", "6", "7"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// The answer tells what is lost, by an event and to the loops of Messages, and where the
// channel is.
func TestRecoveryTellsWhatIsLost(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		r := recordLost(t, c)
		sub := subscribe(t, c, "a")
		raw := subscribe(t, c, "a")
		var fed []string
		fn := func(data json.RawMessage) { fed = append(fed, string(data)) }
		if _, err := c.SubscribeFunc(t.Context(), "a", fn, client.PendingOK()); err != nil {
			t.Fatal(err)
		}
		p.next()
		p.send(`{"rid":2,"data":{"position":"e.50.1"}}`, at("e.51.1", "1"))
		synctest.Wait()
		cid := 2
		reconnect := func(since string) {
			t.Helper()
			p.Close()
			connecting(c)
			p = s.greet(cid+1, noToken)
			cid += 2
			p.want(fmt.Sprintf(`{"event":"#subscribe","data":{"channel":"a","since":"%s"},"cid":%d}`, since, cid))
		}
		reconnect("e.51.1")
		for _, step := range []struct {
			answer, since string
			frames, lost  []string
		}{
			{`"position":"e.60.1","lost":{"from":3,"to":4}`, "e.60.1", []string{at("e.60.1", "2")}, []string{"lost a 3-4 at e.60.1"}},
			{`"position":"e.40.1","lost":{}`, "e.40.1", nil, []string{"lost a 0-0 at e.40.1"}}, // the history has lost its end
			{`"position":"f.5.1","lost":{}`, "f.6.1", []string{at("f.5.1", "3"), at("f.6.1", "4")}, []string{"lost a 0-0 at f.6.1"}},
			{`"position":"f.6.1"`, "f.6.1", nil, nil},
		} {
			p.send(append(step.frames, fmt.Sprintf(`{"rid":%d,"data":{%s}}`, cid, step.answer))...)
			r.want(step.lost...)
			reconnect(step.since)
		}
		p.send(fmt.Sprintf(`{"rid":%d}`, cid)) // nothing is kept any more
		synctest.Wait()
		p.Close()
		connecting(c)
		p = s.greet(cid+1, noToken)
		p.want(fmt.Sprintf(`{"event":"#subscribe","data":{"channel":"a"},"cid":%d}`, cid+2))
		c.Unsubscribe("a")
		if got, want := messages(sub), []string{"1", "2", "a 3-4 at e.60.1", "a 0-0 at e.40.1", "3", "4", "a 0-0 at f.6.1"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if got, want := all(raw), []string{"1", "2", "3", "4"}; !slices.Equal(got, want) || !slices.Equal(fed, want) {
			t.Errorf("got %v and %v, want %v", got, fed, want)
		}
	})
}

// A loss is told although the connection ends before the answer that has it, and nothing
// comes twice.
func TestRecoveryWithoutAnswer(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		r := recordLost(t, c)
		sub := subscribe(t, c, "a")
		p.next()
		p.send(`{"rid":2,"data":{"position":"e.5.1"}}`)
		for cid := 4; cid <= 6; cid += 2 {
			synctest.Wait()
			p.Close()
			connecting(c)
			p = s.greet(cid-1, noToken)
			p.want(fmt.Sprintf(`{"event":"#subscribe","data":{"channel":"a","since":"e.5.1"},"cid":%d}`, cid))
			p.send(at("e.50.1", "1")) // what was between is lost
		}
		p.send(at("e.51.1", "2"), `{"rid":6,"data":{"position":"e.51.1","lost":{"from":6,"to":9}}}`)
		r.want("lost a 6-9 at e.51.1")
		p.Close()
		connecting(c)
		p = s.greet(7, noToken)
		p.want(`{"event":"#subscribe","data":{"channel":"a","since":"e.51.1"},"cid":8}`)
		c.Unsubscribe("a")
		if got, want := messages(sub), []string{"1", "2", "a 6-9 at e.51.1"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// A loss is told while the channel is live, in its place.
func TestLostWhileLive(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{ChannelPrefix: "p."})
		r := recordLost(t, c)
		sub := subscribe(t, c, "a")
		p.next()
		pub := func(position, data string) string { return strings.Replace(at(position, data), `"a"`, `"p.a"`, 1) }
		p.send(`{"rid":2,"data":{"position":"e.50.1"}}`, pub("e.51.1", "1"),
			`{"event":"#lost","data":{"channel":"p.a","position":"e.60.1","lost":{"from":3,"to":4}}}`, pub("e.60.1", "0"), pub("e.61.1", "2"),
			`{"event":"#lost","data":{"channel":"p.a","lost":{}}}`, pub("e.62.1", "3"), `{"event":"#lost","data":{"channel":"p.a","position":"f.0.1"}}`,
			`{"event":"#lost","data":{"channel":"p.b","lost":{}}}`, `{"event":"#lost","data":{"channel":"p.a","lost":7}}`, `{"event":"#lost","data":{}}`, `{"event":"#lost"}`)
		r.want("lost a 3-4 at e.60.1", "lost a 0-0 at e.61.1", "lost a 0-0 at f.0.1")
		p.Close()
		connecting(c)
		p = s.greet(3, noToken)
		p.want(`{"event":"#subscribe","data":{"channel":"p.a","since":"f.0.1"},"cid":4}`)
		c.Unsubscribe("a")
		if got, want := messages(sub), []string{"1", "a 3-4 at e.60.1", "2", "a 0-0 at e.61.1", "3", "a 0-0 at f.0.1"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// A function of OnLost gets what is lost among the publications: what the server reports, and
// what a channel without a history has not kept.
func TestOnLost(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		r := recordLost(t, c)
		var got []string
		onLost := func(e *socketcluster.LostError) {
			got = append(got, fmt.Sprintf("%s %d-%d at %s", e.Channel, e.From, e.To, e.Position))
			panic("a panic costs nothing but itself")
		}
		fn := func(data json.RawMessage) { got = append(got, string(data)) }
		if _, err := c.SubscribeFunc(t.Context(), "a", fn, client.OnLost(onLost), client.PendingOK()); err != nil {
			t.Fatal(err)
		}
		p.next()
		cid := 2
		reconnect := func() {
			t.Helper()
			synctest.Wait()
			p.Close()
			connecting(c)
			p = s.greet(cid+1, noToken)
			cid += 2
			p.next()
		}
		const plain = `{"event":"#publish","data":{"channel":"a","data":%d}}`
		answer := func(data string) string { return fmt.Sprintf(`{"rid":%d,"data":%s}`, cid, data) }
		reconnect() // before the first answer nothing can be lost
		p.send(answer("null"), fmt.Sprintf(plain, 1), `{"event":"#lost","data":{"channel":"a","lost":{}}}`, fmt.Sprintf(plain, 2))
		reconnect()
		p.send(answer("null"), fmt.Sprintf(plain, 3))
		reconnect()
		p.send(answer(`{"position":"e.5.1"}`), at("e.6.1", "6")) // it keeps something now
		reconnect()
		p.send(at("e.7.1", "7"), answer(`{"position":"e.6.1"}`), at("e.8.1", "8"))
		reconnect()
		p.send(at("e.12.1", "12"), answer(`{"position":"e.11.1","lost":{"from":9,"to":11}}`), at("e.13.1", "13"))
		reconnect()
		p.send(answer("null"), fmt.Sprintf(plain, 14)) // it keeps nothing any more
		synctest.Wait()
		want := []string{"1", "a 0-0 at ", "2", "a 0-0 at ", "3", "6", "7", "8", "12", "a 9-11 at e.12.1", "13", "a 0-0 at ", "14"}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		r.want("lost a 0-0 at ", "lost a 9-11 at e.12.1")
	})
}

func TestLast(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		subscribe(t, c, "a", client.WaitForAuth(), client.Last(3)) // waits
		subscribe(t, c, "b", client.Data(1), client.Last(0))
		p.want(`{"event":"#subscribe","data":{"channel":"b","data":1},"cid":2}`)
		if _, err := c.Subscribe(t.Context(), "c", client.Last(-1)); err == nil || err.Error() != "client: Last: n is -1; it must not be negative" {
			t.Error(err)
		}
		err := &socketcluster.LostError{Channel: "a"}
		more := &socketcluster.LostError{Channel: "a", From: 3, To: 4}
		if err.Error() != "socketcluster: publications on the channel a are lost" || more.Error() != err.Error()+", from 3 to 4" {
			t.Errorf("%v; %v", err, more)
		}
	})
}

package calls_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/calls"
	"github.com/socketcluster-go/socketcluster/internal/wheel"
	"github.com/socketcluster-go/socketcluster/wire"
)

type result struct {
	data json.RawMessage
	err  error
}

// harness is a table with the arguments of its hook.
type harness struct {
	*calls.Table

	mu   sync.Mutex
	busy []bool
}

func (h *harness) tell(busy bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.busy = append(h.busy, busy)
}

func (h *harness) told() []bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.busy)
}

func run(t *testing.T, test func(t *testing.T, h *harness)) {
	synctest.Test(t, func(t *testing.T) {
		w := wheel.New()
		defer w.Close()
		h := &harness{}
		h.Table = calls.New(w, 0, h.tell)
		test(t, h)
	})
}

func (h *harness) begin(event string, timeout time.Duration) (*calls.Call, <-chan result) {
	c := h.Begin(event, time.Now().Add(timeout))
	return c, wait(context.Background(), c)
}

func wait(ctx context.Context, c *calls.Call) <-chan result {
	done := make(chan result, 1)
	go func() {
		data, err := c.Wait(ctx)
		done <- result{data, err}
	}()
	return done
}

func answerTo(id float64, data, err string) *wire.Packet {
	p := &wire.Packet{Kind: wire.KindResponse, ID: id}
	if data != "" {
		p.Data = []byte(data)
	}
	if err != "" {
		p.Error = []byte(err)
	}
	return p
}

// Ids count from 1, and each call gets its own answer (RPC-2).
func TestAnswers(t *testing.T) {
	run(t, func(t *testing.T, h *harness) {
		first, firstDone := h.begin("a", time.Minute)
		second, secondDone := h.begin("b", time.Minute)
		if first.ID != 1 || second.ID != 2 {
			t.Fatalf("ids %d and %d", first.ID, second.ID)
		}
		data := []byte(`"two"`)
		p := answerTo(2, "", "")
		p.Data = data
		if !h.Answer(p) || !h.Answer(answerTo(1, "", `{"name":"E","message":"one"}`)) {
			t.Error("an answer was not taken")
		}
		copy(data, `xxxxx`) // it belongs to the connection
		if r := <-secondDone; r.err != nil || string(r.data) != `"two"` {
			t.Errorf("answer: %s, %v", r.data, r.err)
		}
		var e *wire.Error
		if r := <-firstDone; !errors.As(r.err, &e) || e.Name != "E" || e.Message != "one" || r.data != nil {
			t.Errorf("error: %s, %v", r.data, r.err)
		}
		if h.Answer(answerTo(1, "3", "")) || h.Waiting() {
			t.Error("a call was answered twice")
		}
		if third, _ := h.begin("c", time.Minute); third.ID != 3 {
			t.Errorf("id %d after 2", third.ID)
		}
		h.Answer(answerTo(3, "", ""))
	})
}

func TestAnswersToNothing(t *testing.T) {
	run(t, func(t *testing.T, h *harness) {
		_, done := h.begin("a", time.Second)
		for _, id := range []float64{0, -1, 0.5, 1.5, 2, 1e300} {
			if h.Answer(answerTo(id, "1", "")) {
				t.Errorf("an answer to %v was taken", id)
			}
		}
		if r := <-done; !errors.Is(r.err, wire.ErrTimeout) {
			t.Errorf("ended with %v", r.err)
		}
	})
}

func TestTimeout(t *testing.T) {
	run(t, func(t *testing.T, h *harness) {
		start := time.Now()
		_, done := h.begin("a", 3*time.Second)
		r := <-done
		if !errors.Is(r.err, wire.ErrTimeout) || r.err.Error() == "" || r.data != nil {
			t.Errorf("%s, %v", r.data, r.err)
		}
		// Go code finds a timeout as that of anything else.
		var timeout net.Error
		if !errors.Is(r.err, context.DeadlineExceeded) || !os.IsTimeout(r.err) || !errors.As(r.err, &timeout) || !timeout.Timeout() {
			t.Errorf("%v is no timeout", r.err)
		}
		if took := time.Since(start); took < 3*time.Second || took > 3020*time.Millisecond {
			t.Errorf("after %v", took)
		}
		if h.Waiting() || h.Answer(answerTo(1, "1", "")) {
			t.Error("a call waits after its timeout")
		}
	})
}

// The end of the context is the end of the wait. A deadline is a timeout.
func TestContext(t *testing.T) {
	run(t, func(t *testing.T, h *harness) {
		ctx, cancel := context.WithCancel(t.Context())
		canceled := wait(ctx, h.Begin("a", time.Now().Add(time.Minute)))
		cancel()
		if r := <-canceled; r.err != context.Canceled {
			t.Errorf("canceled: %v", r.err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		late := wait(ctx, h.Begin("a", time.Now().Add(time.Minute)))
		if r := <-late; !errors.Is(r.err, wire.ErrTimeout) || !errors.Is(r.err, context.DeadlineExceeded) {
			t.Errorf("deadline: %v", r.err)
		}
		if h.Waiting() {
			t.Error("a call waits that nobody waits for")
		}
	})
}

func TestAbort(t *testing.T) {
	run(t, func(t *testing.T, h *harness) {
		_, a := h.begin("a", time.Minute)
		_, b := h.begin("b", time.Minute)
		h.Abort(func(event string) error { return errors.New("no " + event) })
		if r := <-a; r.err == nil || r.err.Error() != "no a" {
			t.Errorf("a: %v", r.err)
		}
		if r := <-b; r.err == nil || r.err.Error() != "no b" {
			t.Errorf("b: %v", r.err)
		}
		if h.Waiting() || h.Answer(answerTo(1, "1", "")) {
			t.Error("a call waits after Abort")
		}
	})
}

// An answer that has come counts, even if nobody has looked at it yet.
func TestFirstCounts(t *testing.T) {
	run(t, func(t *testing.T, h *harness) {
		c := h.Begin("a", time.Now().Add(time.Second))
		h.Answer(answerTo(1, "1", ""))
		time.Sleep(2 * time.Second)
		h.Abort(func(string) error { return errors.New("late") })
		if data, err := c.Wait(t.Context()); err != nil || string(data) != "1" {
			t.Errorf("%s, %v", data, err)
		}
	})
}

func TestBusy(t *testing.T) {
	run(t, func(t *testing.T, h *harness) {
		_, a := h.begin("a", time.Minute)
		_, b := h.begin("b", time.Second)
		h.Answer(answerTo(1, "1", ""))
		<-a
		if !slices.Equal(h.told(), []bool{true}) {
			t.Errorf("with a call that waits: %v", h.told())
		}
		<-b
		_, c := h.begin("c", time.Second)
		<-c
		if !slices.Equal(h.told(), []bool{true, false, true, false}) {
			t.Errorf("in the end: %v", h.told())
		}
	})
}

func TestNil(t *testing.T) {
	var none *calls.Table
	if none.Waiting() || none.Answer(answerTo(1, "1", "")) {
		t.Error("no table has calls")
	}
	none.Abort(nil)
}

// A call of BeginFunc ends once, by whoever is first: its answer, its deadline, Abort or
// Cancel. Its ID follows those of an earlier table (RPC-2).
func TestBeginFunc(t *testing.T) {
	run(t, func(t *testing.T, h *harness) {
		w := wheel.New()
		defer w.Close()
		table := calls.New(w, 41, h.tell)
		var ends []string
		begin := func(event string, deadline time.Time) *calls.Call {
			return table.BeginFunc(event, deadline, func(data json.RawMessage, err error) {
				if err != nil {
					ends = append(ends, event+": "+err.Error())
				} else {
					ends = append(ends, event+": "+string(data))
				}
			})
		}
		answered := begin("answered", time.Now().Add(time.Second))
		begin("late", time.Now().Add(2*time.Second))
		cancelled := begin("cancelled", time.Now().Add(time.Second))
		begin("lasting", time.Time{})
		if answered.ID != 42 || table.Last() != 45 {
			t.Errorf("the IDs are %d to %d, want 42 to 45", answered.ID, table.Last())
		}
		if !cancelled.Cancel() || cancelled.Cancel() {
			t.Error("Cancel does not report whether the call has ended")
		}
		if !table.Answer(answerTo(42, "1", "")) || table.Answer(answerTo(42, "2", "")) {
			t.Error("the first answer counts, and only that")
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		table.Abort(func(event string) error { return errors.New("aborted") })
		want := []string{"answered: 1", "late: TimeoutError: Event response for late event timed out", "lasting: aborted"}
		if !slices.Equal(ends, want) {
			t.Errorf("the calls ended with %q, want %q", ends, want)
		}
		if got := h.told(); !slices.Equal(got, []bool{true}) {
			t.Errorf("busy was told %v", got)
		}
	})
}

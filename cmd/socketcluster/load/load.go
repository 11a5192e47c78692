package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/wire"
)

// Options of a load test. Rates are per second, for all clients together.
type Options struct {
	URL    string
	Client client.Options

	Connections int     // default 100
	ConnectRate float64 // default 500

	Login     string            // the procedure that logs in, by a token; "" for none
	LoginData []json.RawMessage // its data, of which each client takes the next, in turn; none for none

	Call     string          // the procedure that is called; "" for none
	CallData json.RawMessage // its data; nil for none
	CallRate float64         // default 100

	Channel     string  // on which is published; "" for none
	Subscribers int     // the number of clients that are subscribed; default all, negative for none
	PublishRate float64 // default 10
	PublishSize int     // bytes of data, about; default 128

	Duration time.Duration // of calls and publications; default 10 s
	Storm    bool          // all connections end at once, and come back

	Progress io.Writer // gets a line each second; nil for none
}

func (o *Options) setDefaults() error {
	for _, n := range []struct {
		name  string
		value *int
		is    int
	}{{"connections", &o.Connections, 100}, {"publish-size", &o.PublishSize, 128}} {
		if *n.value < 0 {
			return fmt.Errorf("%s is %d; it must not be negative", n.name, *n.value)
		}
		if *n.value == 0 {
			*n.value = n.is
		}
	}
	for _, r := range []struct {
		name  string
		value *float64
		is    float64
	}{{"connect-rate", &o.ConnectRate, 500}, {"call-rate", &o.CallRate, 100}, {"publish-rate", &o.PublishRate, 10}} {
		if !(*r.value >= 0) || *r.value > 1e6 {
			return fmt.Errorf("%s is %v; it must be from 0 to 1000000 per second", r.name, *r.value)
		}
		if *r.value == 0 {
			*r.value = r.is
		}
	}
	if o.Duration < 0 {
		return fmt.Errorf("duration is %v; it must not be negative", o.Duration)
	}
	if o.Duration == 0 {
		o.Duration = 10 * time.Second
	}
	switch {
	case o.Subscribers < 0:
		o.Subscribers = 0
	case o.Subscribers == 0 || o.Subscribers > o.Connections:
		o.Subscribers = o.Connections
	}
	return nil
}

// Run runs a load test. It fails if no client can connect; other errors are
// counted in the report. If ctx is canceled, the test ends at once, and the report has
// what was measured until then.
func Run(ctx context.Context, o Options) (*Report, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	t := &test{o: o, began: time.Now(), rt: client.NewRuntime()}
	defer t.rt.Close()
	defer t.close()
	stop := t.progress()
	defer stop()
	if err := t.connect(ctx); err != nil {
		return nil, err
	}
	for _, phase := range []func(context.Context){t.login, t.subscribe, t.traffic, t.storm} {
		if ctx.Err() == nil {
			phase(ctx)
		}
	}
	r := t.report()
	r.Interrupted = ctx.Err() != nil
	return r, nil
}

// test is a running load test.
type test struct {
	o       Options
	began   time.Time
	rt      *client.Runtime
	clients []*client.Client
	subs    []*client.Subscription // of the first clients; nil for one that was refused

	mu      sync.Mutex
	results []*result // in the order of the phases
}

// begin begins a measurement.
func (t *test) begin(name string) *result {
	r := newResult(name)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.results = append(t.results, r)
	return r
}

func (t *test) close() {
	var wg sync.WaitGroup
	for _, c := range t.clients {
		wg.Go(c.Close)
	}
	wg.Wait()
}

// connect connects all clients, one after the other is due.
func (t *test) connect(ctx context.Context) error {
	o := t.o.Client
	o.Runtime = t.rt
	r := t.begin("connect")
	defer r.end()
	var failure atomic.Pointer[error]
	for range t.o.Connections {
		c, err := client.New(t.o.URL, o)
		if err != nil {
			return err
		}
		t.clients = append(t.clients, c)
	}
	var wg sync.WaitGroup
	pace(ctx, t.o.ConnectRate, len(t.clients), func(i int, due time.Time) {
		wg.Go(func() {
			err := t.clients[i].Connect(ctx)
			if r.done(due, err); err != nil {
				failure.CompareAndSwap(nil, &err)
			}
		})
	})
	wg.Wait()
	if err := failure.Load(); err != nil && r.successes() == 0 && ctx.Err() == nil {
		return *err
	}
	return nil
}

// login logs all clients in, as fast as they connected.
func (t *test) login(ctx context.Context) {
	if t.o.Login == "" {
		return
	}
	r := t.begin("login")
	defer r.end()
	var wg sync.WaitGroup
	pace(ctx, t.o.ConnectRate, len(t.clients), func(i int, due time.Time) {
		wg.Go(func() {
			var data json.RawMessage
			if n := len(t.o.LoginData); n > 0 {
				data = t.o.LoginData[i%n]
			}
			_, err := t.clients[i].Login(ctx, t.o.Login, orNil(data))
			r.done(due, err)
		})
	})
	wg.Wait()
}

// orNil returns data, or nil for none.
func orNil(raw json.RawMessage) any {
	if raw == nil {
		return nil
	}
	return raw
}

// publication is what is published.
type publication struct {
	Due int64  `json:"due"` // when it was due, in nanoseconds since the test began
	Pad string `json:"pad,omitempty"`
}

// subscribe subscribes the clients that receive publications.
func (t *test) subscribe(ctx context.Context) {
	if t.o.Channel == "" || t.o.Subscribers == 0 {
		return
	}
	r := t.begin("subscribe")
	delivered := t.begin("delivery")
	var wg sync.WaitGroup
	t.subs = make([]*client.Subscription, t.o.Subscribers)
	for i, c := range t.clients[:t.o.Subscribers] {
		wg.Go(func() {
			begun := time.Now()
			sub, err := c.Subscribe(context.WithoutCancel(ctx), t.o.Channel, client.PendingOK())
			if err == nil {
				err = sub.Wait(ctx)
			}
			if r.done(begun, err); err != nil {
				return
			}
			t.subs[i] = sub
			go func() {
				for p, err := range client.Messages[publication](sub) {
					if err == nil && p.Due > 0 {
						delivered.done(t.began.Add(time.Duration(p.Due)), nil)
					}
				}
			}()
		})
	}
	wg.Wait()
	r.end()
}

// inFlight is the number of calls and publications that wait for their answers at
// the same time. More that are due wait, and their latency counts.
const inFlight = 10_000

// traffic makes calls and publications for the duration.
func (t *test) traffic(ctx context.Context) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, inFlight)
	run := func(name string, rate float64, do func(c *client.Client, due time.Time) error) {
		r := t.begin(name)
		defer r.end()
		var calls sync.WaitGroup
		pace(ctx, rate, int(rate*t.o.Duration.Seconds()), func(i int, due time.Time) {
			slots <- struct{}{}
			calls.Go(func() {
				err := do(t.clients[i%len(t.clients)], due)
				<-slots
				r.done(due, err)
			})
		})
		calls.Wait()
	}
	if t.o.Call != "" {
		wg.Go(func() {
			run("call", t.o.CallRate, func(c *client.Client, _ time.Time) error {
				_, err := c.Invoke(ctx, t.o.Call, orNil(t.o.CallData))
				return err
			})
		})
	}
	if t.o.Channel != "" {
		pad := ""
		if n := t.o.PublishSize - 40; n > 0 {
			pad = fmt.Sprintf("%*d", n, 0)
		}
		wg.Go(func() {
			run("publish", t.o.PublishRate, func(c *client.Client, due time.Time) error {
				return c.Publish(ctx, t.o.Channel, publication{due.Sub(t.began).Nanoseconds(), pad})
			})
		})
	}
	wg.Wait()
	if t.o.Channel != "" && t.o.Subscribers > 0 {
		t.settle(ctx)
	}
}

// settle waits until all deliveries have come, or none has come for a second.
func (t *test) settle(ctx context.Context) {
	delivered, published := t.result("delivery"), t.result("publish")
	want := published.successes() * int64(t.o.Subscribers)
	last, since := delivered.successes(), time.Now()
	for last < want && time.Since(since) < time.Second && ctx.Err() == nil {
		time.Sleep(10 * time.Millisecond)
		if n := delivered.successes(); n != last {
			last, since = n, time.Now()
		}
	}
	delivered.end()
	if ctx.Err() == nil {
		delivered.miss(want - last)
	}
}

// errNotDelivered counts publications that a subscriber has not received.
var errNotDelivered = errors.New("not delivered")

func (t *test) result(name string) *result {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.results {
		if r.name == name {
			return r
		}
	}
	return nil
}

// storm ends all connections at once, and measures until each client is back,
// with its subscription.
func (t *test) storm(ctx context.Context) {
	if !t.o.Storm {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	r := t.begin("storm")
	defer r.end()
	waits := make([]func(context.Context) error, len(t.clients))
	for i, c := range t.clients {
		waits[i] = c.Connect
		if i < len(t.subs) && t.subs[i] != nil && t.subs[i].Err() == nil {
			waits[i] = t.subscribedAgain(c)
		}
	}
	begun := time.Now()
	for _, c := range t.clients {
		_ = c.Disconnect(wire.CloseNormal, "") // fails for other codes only
	}
	var wg sync.WaitGroup
	for _, wait := range waits {
		wg.Go(func() { r.done(begun, wait(ctx)) })
	}
	wg.Wait()
}

// subscribedAgain returns a function that connects a client, and waits until its
// next subscription has been accepted or refused.
func (t *test) subscribedAgain(c *client.Client) func(context.Context) error {
	done := make(chan error, 1)
	tell := func(err error) {
		select {
		case done <- err:
		default: // it is known already
		}
	}
	offs := []func(){
		client.On(c, func(client.SubscribeEvent) { tell(nil) }),
		client.On(c, func(e client.SubscribeFailEvent) { tell(e.Err) }),
	}
	return func(ctx context.Context) error {
		defer func() {
			for _, off := range offs {
				off()
			}
		}()
		if err := c.Connect(ctx); err != nil {
			return err
		}
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// progress prints a line each second.
func (t *test) progress() (stop func()) {
	if t.o.Progress == nil {
		return func() {}
	}
	ticker := time.NewTicker(time.Second)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-ticker.C:
				t.mu.Lock()
				for _, r := range t.results {
					if line := r.progress(); line != "" {
						fmt.Fprintf(t.o.Progress, "%5.0fs %s\n", time.Since(t.began).Seconds(), line)
					}
				}
				t.mu.Unlock()
			case <-done:
				return
			}
		}
	})
	return func() {
		ticker.Stop()
		close(done)
		wg.Wait()
	}
}

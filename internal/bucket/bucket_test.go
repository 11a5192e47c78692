package bucket_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/socketcluster-go/socketcluster/internal/bucket"
)

// model is a token bucket as it is explained: it counts the time that it has
// been given, of which each token takes an interval.
type model struct {
	rate       bucket.Rate
	credit, at time.Duration
}

func (m *model) pass(now time.Duration) {
	m.add(now - m.at)
	m.at = now
}

func (m *model) add(d time.Duration) {
	m.credit = min(m.credit+d, m.rate.Interval*time.Duration(m.rate.Burst))
}

// A moment says the same as a count of tokens.
func TestBucketAgreesWithTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := bucket.Rate{
			Interval: time.Duration(rapid.IntRange(0, 1000).Draw(t, "interval")),
			Burst:    rapid.IntRange(1, 10).Draw(t, "burst"),
		}
		m := model{rate: r}
		m.add(r.Interval * time.Duration(r.Burst))
		var b bucket.Bucket
		var now time.Duration
		t.Repeat(map[string]func(*rapid.T){
			"pass": func(t *rapid.T) {
				now += time.Duration(rapid.IntRange(0, 3000).Draw(t, "time"))
				m.pass(now)
			},
			"take": func(*rapid.T) {
				if r.Wait(b, now) == 0 {
					b = r.Take(b, now)
					m.credit -= r.Interval
				}
			},
			"owe": func(*rapid.T) {
				b = r.Take(b, now)
				m.credit -= r.Interval
			},
			"give back": func(*rapid.T) {
				b = r.GiveBack(b)
				m.add(r.Interval)
			},
			"": func(t *rapid.T) {
				if got, want := r.Wait(b, now), max(0, r.Interval-m.credit); got != want {
					t.Fatalf("wait is %v, want %v", got, want)
				}
			},
		})
	})
}

// No stretch of time lets more through than the burst and what it has refilled,
// and whoever waits that long gets a token.
func TestBucketBoundsEveryStretch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		burst := rapid.IntRange(1, 50).Draw(t, "burst")
		r := bucket.PerSecond(rapid.IntRange(1, 1000).Draw(t, "rate"), burst)
		var b bucket.Bucket
		var now time.Duration
		var taken []time.Duration
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			now += time.Duration(rapid.IntRange(0, int(3*r.Interval)).Draw(t, "time"))
			now += r.Wait(b, now)
			if wait := r.Wait(b, now); wait != 0 {
				t.Fatalf("has to wait %v more", wait)
			}
			b = r.Take(b, now)
			taken = append(taken, now)
			for i, from := range taken {
				if n, most := len(taken)-i, burst+int((now-from)/r.Interval); n > most {
					t.Fatalf("%d tokens in %v, want at most %d", n, now-from, most)
				}
			}
		}
	})
}

func TestPerSecond(t *testing.T) {
	const most = int(time.Second)
	for _, test := range []struct {
		n, burst int
		want     bucket.Rate
	}{
		{1, 1, bucket.Rate{Interval: time.Second, Burst: 1}},
		{10, 20, bucket.Rate{Interval: 100 * time.Millisecond, Burst: 20}},
		{most + 1, 1, bucket.Rate{Interval: 1, Burst: 1}},
		{1, 1<<63 - 1, bucket.Rate{Interval: time.Second, Burst: most}},
	} {
		got := bucket.PerSecond(test.n, test.burst)
		if got != test.want || got.Tolerance() < 0 {
			t.Errorf("%d a second, %d at once: %+v", test.n, test.burst, got)
		}
	}
}

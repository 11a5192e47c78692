package client

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/wire"
)

// Reconnect says when a client connects again after it has lost its connection,
// or an attempt has failed. The zero value is that of socketcluster-client
// (autoReconnectOptions): 10 to 20 seconds before the first attempt.
//
// A client does not connect again after the codes 1000 and 4500 and above. After
// 4000, 4001 and 1005, the first attempt is at once. The attempt n, counted from
// 0, follows after (InitialDelay + a random part of Randomness) × Multiplierⁿ, but
// no later than MaxDelay. The count starts again with each handshake that
// succeeds.
type Reconnect struct {
	// Disabled makes the client never connect again by itself. JavaScript:
	// autoReconnect: false.
	Disabled bool

	// InitialDelay is the delay of the first attempt. Default:
	// [DefaultInitialDelay]; negative means none.
	InitialDelay time.Duration

	// Randomness spreads many clients that lose their server at the same time.
	// Default: [DefaultRandomness]; negative means none.
	Randomness time.Duration

	// Multiplier is the factor between two delays. Default: [DefaultMultiplier].
	Multiplier float64

	// MaxDelay is the longest delay. Default: [DefaultMaxDelay].
	MaxDelay time.Duration
}

// Defaults of [Reconnect], those of socketcluster-client 20.
const (
	DefaultInitialDelay = 10 * time.Second
	DefaultRandomness   = 10 * time.Second
	DefaultMultiplier   = 1.5
	DefaultMaxDelay     = time.Minute
)

func (r *Reconnect) setDefaults() error {
	for _, d := range []struct {
		name  string
		value *time.Duration
		is    time.Duration
	}{
		{"Reconnect.InitialDelay", &r.InitialDelay, DefaultInitialDelay},
		{"Reconnect.Randomness", &r.Randomness, DefaultRandomness},
		{"Reconnect.MaxDelay", &r.MaxDelay, DefaultMaxDelay},
	} {
		if *d.value < 0 && d.value != &r.MaxDelay {
			*d.value = 0
			continue
		}
		if err := checkDuration(d.name, *d.value); err != nil {
			return err
		}
		if *d.value == 0 {
			*d.value = d.is
		}
	}
	if r.Multiplier == 0 {
		r.Multiplier = DefaultMultiplier
	}
	if !(r.Multiplier >= 1) || math.IsInf(r.Multiplier, 0) {
		return optionError("Reconnect.Multiplier", "is %v; it must be a number from 1 on", r.Multiplier)
	}
	return nil
}

// after reports whether, and after which delay, the client connects again when
// its connection has ended with code. attempt is the number of attempts since
// the last handshake that has succeeded, and random is from 0 to below 1.
func (r *Reconnect) after(code wire.CloseCode, attempt int, random float64) (delay time.Duration, ok bool) {
	switch {
	case r.Disabled, code == wire.CloseNormal, code >= 4500:
		return 0, false
	case attempt > 0:
	case code == wire.ClosePingTimeout, code == wire.ClosePongTimeout, code == wire.CloseNoStatus:
		return 0, true
	}
	return r.delay(attempt, random), true
}

// delay returns the delay before an attempt, in whole milliseconds like that of
// socketcluster-client.
func (r *Reconnect) delay(attempt int, random float64) time.Duration {
	base := math.Round(milliseconds(r.InitialDelay) + milliseconds(r.Randomness)*random)
	ms := math.Round(base * math.Pow(r.Multiplier, float64(attempt)))
	return time.Duration(min(ms, milliseconds(r.MaxDelay)) * float64(time.Millisecond))
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// scheduleRetry sets the next attempt after a close with code. mu must be held.
func (c *Client) scheduleRetry(code wire.CloseCode) {
	delay, ok := c.opts.Reconnect.after(code, c.attempts, rand.Float64())
	if !ok {
		return
	}
	c.attempts++
	c.retryAt = time.Now().Add(delay)
	c.rt.wheel.Set(&c.retryTimer, c.retryAt, (*retryTask)(c))
}

// stopRetry cancels a pending attempt. mu must be held.
func (c *Client) stopRetry() {
	c.retryAt = time.Time{}
	c.rt.wheel.Stop(&c.retryTimer)
}

// retryTask is a client whose next attempt is due.
type retryTask Client

// Expire implements wheel.Task.
func (t *retryTask) Expire(time.Time) {
	go func() {
		c := (*Client)(t)
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.retryAt.IsZero() && !time.Now().Before(c.retryAt) && c.state == socketcluster.Closed {
			c.connectLocked()
		}
	}()
}

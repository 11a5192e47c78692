package login

import (
	"cmp"
	"fmt"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/millis"
)

// Rate is the size of a bucket and the speed at which it is refilled: Attempts
// at once, and as many again in each Per.
type Rate struct {
	Attempts int
	Per      time.Duration
}

// Options are the limits of a [Gate]. A zero Rate means the default. There is
// no unlimited Rate.
type Options struct {
	PerSocket         Rate // default 10 a minute
	PerAddress        Rate // default 20 a minute
	PerNetwork        Rate // default five times PerAddress, of an IPv6 /48
	PerUserAndAddress Rate // default 10 in 10 minutes
	PerUser           Rate // default 50 an hour
}

func (o *Options) setDefaults() error {
	perAddress := cmp.Or(o.PerAddress, Rate{20, time.Minute})
	for _, f := range []struct {
		field    string
		rate     *Rate
		fallback Rate
	}{
		{"PerSocket", &o.PerSocket, Rate{10, time.Minute}},
		{"PerAddress", &o.PerAddress, perAddress},
		{"PerNetwork", &o.PerNetwork, Rate{5 * perAddress.Attempts, perAddress.Per}},
		{"PerUserAndAddress", &o.PerUserAndAddress, Rate{10, 10 * time.Minute}},
		{"PerUser", &o.PerUser, Rate{50, time.Hour}},
	} {
		*f.rate = cmp.Or(*f.rate, f.fallback)
		if f.rate.Attempts <= 0 || f.rate.Per <= 0 || f.rate.Per > maxPer {
			return fmt.Errorf("login: Options.%s is %d in %v; both must be positive, and the time at most %v",
				f.field, f.rate.Attempts, f.rate.Per, maxPer)
		}
		if reason := millis.Reason(f.rate.Per); reason != "" {
			return fmt.Errorf("login: Options.%s.Per %s", f.field, reason)
		}
	}
	return nil
}

// maxPer keeps sums of times far below an overflow.
const maxPer = 365 * 24 * time.Hour

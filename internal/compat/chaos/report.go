package main

import (
	"fmt"
	"io"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/compat/chaos/judge"
)

// maxShown is how many violations of a rule are shown.
const maxShown = 5

// wanted is the longest stall and the longest acknowledgement that there should be on a
// machine that is not busy. They are not enforced.
var wanted = map[string]string{judge.Kill: "9s, 9.5s", judge.Restart: "0.5s"}

// report prints what a round has shown.
func report(out io.Writer, v *judge.Verdict, failure error) {
	f := v.Figures
	line := func(name, limit, format string, args ...any) {
		fmt.Fprintf(out, "| %s | "+format+" | %s |\n", append(append([]any{name}, args...), limit)...)
	}
	fmt.Fprintln(out, "\n| Figure | | Wanted |\n|---|---|---|")
	line("acknowledged publications", "500 a second", "%d, %.0f a second", f.Acknowledged, float64(f.Acknowledged)/f.Length.Seconds())
	line("never acknowledged", "", "%d", f.Unsure)
	line("deliveries", "", "%d", f.Delivered)
	line("lost, twice, out of order", "0, 0, 0", "%d, %d, %d", v.Count(judge.LostRule), v.Count(judge.TwiceRule), v.Count(judge.OrderRule))
	line("gaps told, deliveries in them", "", "%d, %d", f.Gaps, f.Told)
	line("a missing publication came within", "", "%v (to %s)", round2(f.Filled), f.FilledWhere.Who)
	line("the same, but for when nobody could publish there", "3s", "%v", round2(f.FilledLed))
	line("a restarted node was healthy within", "10s", "%v", round2(f.Healthy))
	line("rights that ended, tokens refused", "", "%d, %d", f.Rights, f.Refused)
	line("a revocation without a fault within", "", "%v", round2(f.Revocation))
	line("users whom nodes had to name, or not", "", "%d", f.Presence)
	line("a user was named after kill -9 for", "5s", "%v", round2(f.Ghost))
	line("the machine stood still", "", "%d times", f.Still)
	fmt.Fprintln(out, "\n| Fault | Times | Longest stall | Longest ack | Calls that failed | Wanted |\n|---|---|---|---|---|---|")
	for _, name := range f.Names() {
		x := f.Faults[name]
		fmt.Fprintf(out, "| %s | %d | %v | %v | %d | %s |\n", name, x.Count, round2(x.Stall), round2(x.Ack), x.Unsure, wanted[name])
	}
	fmt.Fprintln(out)
	shown := make(map[judge.Rule]int)
	for _, x := range v.Violations {
		if shown[x.Rule]++; shown[x.Rule] <= maxShown {
			fmt.Fprintf(out, "BROKEN %s at %v: %s\n", x.Rule, x.At.Round(time.Millisecond), x.Text)
		}
	}
	for rule, count := range shown {
		if count > maxShown {
			fmt.Fprintf(out, "BROKEN %s: %d times in all\n", rule, count)
		}
	}
	if failure != nil {
		fmt.Fprintf(out, "BROKEN: %v\n", failure)
	}
}

// round2 rounds to what can be read.
func round2(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(10 * time.Millisecond)
}

package judge_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/compat/chaos/judge"
)

// story makes the log of a run. Each line is an event: seconds, kind, and fields.
//
//	1.5 acked who=p n=3 channel=history.x node=a took=0.2
type story struct {
	t      *testing.T
	events []judge.Event
}

func tell(t *testing.T, lines string) *story {
	t.Helper()
	s := &story{t: t}
	for line := range strings.Lines(lines) {
		if strings.TrimSpace(line) != "" {
			s.add(line)
		}
	}
	return s
}

func (s *story) seconds(text string) time.Duration {
	x, err := strconv.ParseFloat(text, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return time.Duration(x * float64(time.Second))
}

func (s *story) number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func (s *story) add(line string) {
	s.t.Helper()
	fields, epoch := strings.Fields(line), "e"
	e := judge.Event{At: s.seconds(fields[0]), Kind: judge.Kind(strings.ReplaceAll(fields[1], "_", " "))}
	for _, f := range fields[2:] {
		name, value, _ := strings.Cut(f, "=")
		switch name {
		case "who":
			e.Who = value
		case "node":
			e.Node = value
		case "channel":
			e.Channel = value
		case "by":
			e.Publisher = value
		case "n":
			e.N = s.number(value)
		case "epoch": // of seq, which follows
			epoch = value
		case "seq":
			e.Position = epoch + "." + strconv.FormatInt(int64(s.number(value)), 36) + ".0"
		case "took":
			e.Took = s.seconds(value)
		case "from":
			e.From = uint64(s.number(value))
		case "to":
			e.To = uint64(s.number(value))
		case "last":
			e.Last = s.number(value)
		case "user":
			e.User = value
		case "users":
			e.Users = strings.Split(value, ",")
		case "what":
			e.What = strings.ReplaceAll(value, "_", " ")
		default:
			s.t.Fatalf("%s: no field", f)
		}
	}
	s.events = append(s.events, e)
}

// want judges the story. It must violate exactly these rules, each so often.
func (s *story) want(violations map[judge.Rule]int) *judge.Verdict {
	s.t.Helper()
	v := judge.Judge(s.events, judge.Limits{Patience: 5 * time.Second})
	got := make(map[judge.Rule]int)
	for _, x := range v.Violations {
		got[x.Rule]++
	}
	if fmt.Sprint(got) != fmt.Sprint(violations) {
		s.t.Errorf("got %v, want %v: %v", got, violations, v.Violations)
	}
	return v
}

// good is a run in which everything is well: two subscribers, one of which recovers.
const good = `
	0 up node=a
	0 up node=b
	1 subscribed who=s channel=history.x node=a
	1 subscribed who=r channel=history.x node=b
	2 acked who=p n=1 channel=history.x node=a
	2 got who=s by=p n=1 channel=history.x node=a seq=10
	2 got who=r by=p n=1 channel=history.x node=b seq=10
	3 ended who=r node=b
	4 acked who=p n=2 channel=history.x node=a
	4 got who=s by=p n=2 channel=history.x node=a seq=12
	5 got who=r by=p n=2 channel=history.x node=b seq=12
	5 subscribed who=r channel=history.x node=b
`

type violations = map[judge.Rule]int

func TestGood(t *testing.T) {
	v := tell(t, good).want(violations{})
	if f := v.Figures; f.Acknowledged != 2 || f.Delivered != 4 || f.Filled != 0 {
		t.Errorf("%+v", f)
	}
}

func TestNothing(t *testing.T) {
	tell(t, "0 up node=a").want(violations{judge.NothingRule: 1})
}

// with judges a good run and more.
func with(t *testing.T, more string, want violations) *judge.Verdict {
	t.Helper()
	return tell(t, good+more).want(want)
}

func TestHistory(t *testing.T) {
	for name, c := range map[string]struct {
		more string
		want violations
	}{
		"lost to all": {`6 acked who=p n=3 channel=history.x node=a`, violations{judge.LostRule: 2}},
		"lost to one": {`
			6 acked who=p n=3 channel=history.x node=a
			6 got who=s by=p n=3 channel=history.x node=a seq=13`, violations{judge.LostRule: 1}},
		"stored, and lost to all": {`
			6 acked who=p n=3 channel=history.x node=a
			7 stored by=p n=3 channel=history.x seq=13`, violations{judge.LostRule: 2}},
		"not acknowledged": {`6 unsure who=p n=3 channel=history.x node=a`, violations{}},
		"before the subscription": {`
			6 acked who=q n=1 channel=history.y node=a took=2
			5 subscribed who=s channel=history.y node=a`, violations{}},
		"after the subscription": {`
			6 acked who=q n=1 channel=history.y node=a took=1
			4 subscribed who=s channel=history.y node=a`, violations{judge.LostRule: 1}},
		"plain channels lose": {`
			5 subscribed who=s channel=plain.x node=a
			6 acked who=q n=1 channel=plain.x node=a`, violations{}},
		"twice": {`6 got who=s by=p n=2 channel=history.x node=a seq=12`, violations{judge.TwiceRule: 1}},
		"twice on a plain channel": {`
			6 got who=s by=q n=2 channel=plain.x node=a
			6 got who=s by=q n=2 channel=plain.x node=a`, violations{judge.TwiceRule: 1}},
		"twice on a plain channel, by two nodes": {`
			6 got who=s by=q n=1 channel=plain.x node=a
			6 got who=s by=q n=2 channel=plain.x node=a
			7 subscribed who=s channel=plain.x node=b
			7 got who=s by=q n=1 channel=plain.x node=b
			7 got who=s by=q n=2 channel=plain.x node=b
			7 got who=s by=q n=2 channel=plain.x node=b`, violations{judge.TwiceRule: 1}},
		"twice, by two nodes": {`
			6 subscribed who=s channel=history.x node=b
			7 got who=s by=p n=2 channel=history.x node=b seq=12`, violations{judge.TwiceRule: 1}},
		"stored twice": {`6 stored by=p n=2 channel=history.x seq=14`, violations{judge.TwiceRule: 1}},
		"not acknowledged, and twice": {`
			6 unsure who=p n=3 channel=history.x node=a
			7 got who=s by=p n=3 channel=history.x node=a seq=13
			7 got who=r by=p n=3 channel=history.x node=b seq=14`, violations{judge.TwiceRule: 1}},
		"acknowledged in the end": {`
			6 unsure who=p n=3 channel=history.x node=a
			7 acked who=p n=3 channel=history.x node=b seq=13
			7 got who=s by=p n=3 channel=history.x node=a seq=13`, violations{judge.LostRule: 1}},
		"acknowledged in the end, as another one": {`
			6 unsure who=p n=3 channel=history.x node=a
			6 got who=s by=p n=3 channel=history.x node=a seq=13
			6 got who=r by=p n=3 channel=history.x node=b seq=13
			7 acked who=p n=3 channel=history.x node=b seq=14`, violations{judge.TwiceRule: 1}},
		"order of a publisher": {`
			6 acked who=q n=1 channel=history.y node=a
			7 acked who=q n=2 channel=history.y node=a
			7 got who=s by=q n=2 channel=history.y node=a
			7 got who=s by=q n=1 channel=history.y node=a`, violations{judge.OrderRule: 1}},
		"a late one that was given up": {`
			6 unsure who=q n=1 channel=history.y node=a
			7 acked who=q n=2 channel=history.y node=a
			7 got who=s by=q n=2 channel=history.y node=a
			7 got who=s by=q n=1 channel=history.y node=a`, violations{}},
		"order of positions": {`
			6 acked who=q n=1 channel=history.y node=a
			7 acked who=u n=1 channel=history.y node=a
			7 got who=s by=q n=1 channel=history.y node=a seq=5
			7 got who=s by=u n=1 channel=history.y node=a seq=4`, violations{judge.OrderRule: 1}},
		"no position": {`6 stored by=p n=3 channel=history.x seq=-1`, violations{judge.OrderRule: 1}},
		"a gap that is none": {`
			6 lost who=s channel=history.x node=a from=11 to=11`, violations{judge.GapRule: 1}},
		"a gap of unknown size that is none": {`
			6 acked who=p n=3 channel=history.x node=a
			7 got who=s by=p n=3 channel=history.x node=a seq=13
			7 lost who=r channel=history.x node=b`, violations{judge.GapRule: 1}},
		"a gap elsewhere": {`
			6 acked who=p n=3 channel=history.x node=a
			7 got who=s by=p n=3 channel=history.x node=a seq=13
			7 lost who=r channel=history.x node=b from=14 to=15`, violations{judge.GapRule: 1, judge.LostRule: 1}},
		"a gap of another history": {`
			6 acked who=p n=3 channel=history.x node=a
			7 got who=s by=p n=3 channel=history.x node=a epoch=f seq=1
			7 lost who=r channel=history.x node=b epoch=f seq=1`, violations{}},
		"the first, of one who begins with the last ones": {`
			5 acked who=q n=1 channel=history.y node=a
			6 acked who=q n=2 channel=history.y node=a
			6.1 got who=s by=q n=2 channel=history.y node=a seq=2
			6.2 subscribed who=s channel=history.y node=a last=2`, violations{judge.LostRule: 1}},
		"more than one begins with": {`
			5 acked who=q n=1 channel=history.y node=a
			6 acked who=q n=2 channel=history.y node=a
			6.1 got who=s by=q n=2 channel=history.y node=a seq=2
			6.2 subscribed who=s channel=history.y node=a last=1`, violations{}},
	} {
		t.Run(name, func(t *testing.T) { with(t, "\n"+c.more, c.want) })
	}
}

// A gap is told when more came than the history keeps.
func TestGap(t *testing.T) {
	var more strings.Builder
	for i := range judge.HistorySize + 100 {
		fmt.Fprintf(&more, "\n6 acked who=q n=%d channel=history.x node=a", i+1)
		fmt.Fprintf(&more, "\n6 got who=s by=q n=%d channel=history.x node=a seq=%d", i+1, 100+i)
		if i >= 100 {
			fmt.Fprintf(&more, "\n8 got who=r by=q n=%d channel=history.x node=b seq=%d", i+1, 100+i)
		}
	}
	if v := with(t, more.String()+"\n8 lost who=r channel=history.x node=b from=13 to=199", violations{}); v.Figures.Told != 100 || v.Figures.Gaps != 1 {
		t.Errorf("%+v", v.Figures)
	}
	with(t, more.String()+"\n8 lost who=r channel=history.x node=b from=13 to=150", violations{judge.LostRule: 49})
	with(t, more.String(), violations{judge.LostRule: 100})
}

// long is a story in which many publications come to s. No publication of missing comes.
func long(count int, missing func(n int) bool) string {
	var more strings.Builder
	for n := 1; n <= count; n++ {
		at := 6 + float64(n)/100
		fmt.Fprintf(&more, "\n%.2f acked who=q n=%d channel=history.x node=a seq=%d", at, n, 100+n)
		if !missing(n) {
			fmt.Fprintf(&more, "\n%.2f got who=s by=q n=%d channel=history.x node=a seq=%d", at, n, 100+n)
		}
	}
	return "1 up node=a\n1 subscribed who=s channel=history.x node=a" + more.String()
}

// A gap of unknown size is only where it was told: after what had come before it. It has so
// much in it as the history does not keep.
func TestGapUnknown(t *testing.T) {
	const count = 3000
	for name, c := range map[string]struct {
		missing func(n int) bool
		more    string
		want    violations
	}{
		"before the last that came": {
			func(n int) bool { return n == 500 || n > 1500 }, "\n40 lost who=s channel=history.x node=a", violations{judge.LostRule: 1},
		},
		"needless": {
			func(n int) bool { return n > count-10 }, "\n40 lost who=s channel=history.x node=a", violations{judge.GapRule: 1},
		},
		"needless then": {
			func(n int) bool { return n > 2000 }, "\n26.3 lost who=s channel=history.x node=a", violations{judge.GapRule: 1, judge.LostRule: count - 2029},
		},
		"in the answer": { // after what it tells has come
			func(n int) bool { return n > 1000 && n <= 2010 || n == 2015 || n == 2900 },
			"\n16.05 ended who=s\n26.2 lost who=s channel=history.x node=a\n26.2 subscribed who=s channel=history.x node=a", violations{judge.LostRule: 2},
		},
		"in another answer": {
			func(n int) bool { return n > 1000 && n <= 2010 },
			"\n16.05 ended who=s\n26.2 subscribed who=s channel=history.x node=a\n27 lost who=s channel=history.x node=a",
			violations{judge.GapRule: 1, judge.LostRule: 1010},
		},
	} {
		t.Run(name, func(t *testing.T) { tell(t, long(count, c.missing)+c.more).want(c.want) })
	}
}

// A client that does not log positions may log a gap before what it has read just then.
func TestGapOutOfOrder(t *testing.T) {
	more := long(3000, func(n int) bool { return n > 995 && n <= 2010 })
	more = regexp.MustCompile(`( got .*) seq=\d+`).ReplaceAllString(more, "$1")
	more += "\n26.105 lost who=s channel=history.x node=a"
	for n := 996; n <= 1000; n++ {
		more += fmt.Sprintf("\n26.106 got who=s by=q n=%d channel=history.x node=a", n)
	}
	s := tell(t, more)
	if v := judge.Judge(s.events, judge.Limits{}); len(v.Violations) > 0 {
		t.Error(v.Violations)
	}
}

func TestRights(t *testing.T) {
	const publication = `
		6.5 acked who=h n=1 channel=private.x node=b took=0.1
		6.6 got who=g user=g by=h n=1 channel=private.x node=b`
	const late = `
		30 acked who=h n=2 channel=private.x node=b took=0.1
		30 got who=g user=g by=h n=2 channel=private.x node=b`
	for name, c := range map[string]struct {
		more string
		want violations
	}{
		"a right":                        {publication, violations{}},
		"revoked":                        {`6 revoked user=g node=a took=0.1` + publication, violations{judge.RightRule: 1}},
		"revoked, and another user":      {`6 revoked user=f node=a took=0.1` + publication, violations{}},
		"revoked while it was published": {`6.5 revoked user=g node=a took=0.2` + publication, violations{}},
		"kicked":                         {`6 kicked user=g channel=private.x node=a took=0.1` + publication, violations{judge.RightRule: 1}},
		"kicked out of another channel":  {`6 kicked user=g channel=private.y node=a took=0.1` + publication, violations{}},
		"expired":                        {`5 expires user=g` + publication, violations{judge.RightRule: 1}},
		"just expired":                   {`6 expires user=g` + publication, violations{}},
		"not confirmed by all":           {`6 revoked user=g node=a took=1.1` + publication, violations{}},
		"not confirmed by all, later":    {`6 revoked user=g node=a took=1.1` + late, violations{judge.RightRule: 1}},
		"cut off": {`
			5.5 cut_off node=b
			6 revoked user=g node=a took=0.1` + publication + late, violations{}},
		"cut off, kicked": {`
			5.5 cut_off node=b
			6 kicked user=g channel=private.x node=a took=0.1
			7 up node=b` + late, violations{}},
		"kicked by one that is cut off": {`
			5.5 cut_off node=a
			6 kicked user=g channel=private.x node=a took=0.1` + publication, violations{}},
		"kicked while the machine stood still": {`
			6 still took=0.5
			6 kicked user=g channel=private.x node=a took=0.1` + publication, violations{}},
		"kicked long after": {`
			2 still took=0.5
			6 kicked user=g channel=private.x node=a took=0.1` + publication, violations{judge.RightRule: 1}},
		"back": {`
			5.5 cut_off node=b
			6 revoked user=g node=a took=0.1
			18 up node=b` + late, violations{judge.RightRule: 1}},
		"just back": {`
			5.5 cut_off node=b
			6 revoked user=g node=a took=0.1
			29 up node=b` + late, violations{}},
		"taken": {`
			6 revoked user=g node=a took=0.1
			7 accepted user=g node=b took=0.1`, violations{judge.RightRule: 1}},
		"taken before": {`
			5 accepted user=g node=b took=0.1
			6 revoked user=g node=a took=0.1`, violations{}},
		"taken while cut off": {`
			5.5 cut_off node=b
			6 revoked user=g node=a took=0.1
			20 accepted user=g node=b took=0.1`, violations{}},
		"taken after the time of a node that is cut off": {`
			5.5 cut_off node=b
			6 revoked user=g node=a took=0.1
			23 accepted user=g node=b took=0.1`, violations{judge.RightRule: 1}},
	} {
		t.Run(name, func(t *testing.T) { with(t, "\n"+c.more, c.want) })
	}
}

func TestPresence(t *testing.T) {
	const room = `
		6 in who=m user=u node=a channel=presence.x
		6 in who=k user=v node=b channel=presence.x`
	for name, c := range map[string]struct {
		more string
		want violations
	}{
		"exact":                 {`20 online node=a channel=presence.x users=u,v`, violations{}},
		"one is missing":        {`20 online node=a channel=presence.x users=u`, violations{judge.PresenceRule: 1}},
		"too early to say":      {`7 online node=a channel=presence.x users=u`, violations{}},
		"a ghost":               {"10 out who=k user=v channel=presence.x\n20 online node=a channel=presence.x users=u,v", violations{judge.PresenceRule: 1}},
		"not yet a ghost":       {"10 out who=k user=v channel=presence.x\n15 online node=a channel=presence.x users=u,v", violations{}},
		"a ghost of a dead one": {"10 down node=b\n20 online node=a channel=presence.x users=u,v", violations{judge.PresenceRule: 1}},
		"gone with the node":    {"10 down node=b\n20 online node=a channel=presence.x users=u", violations{}},
		"just gone":             {"10 down node=b\n15 online node=a channel=presence.x users=u,v", violations{}},
		"cut off, outside":      {"10 cut_off node=b\n20 online node=a channel=presence.x users=u,v", violations{judge.PresenceRule: 1}},
		"cut off, inside":       {"10 cut_off node=b\n20 online node=b channel=presence.x users=v", violations{}},
		"cut off, inside, more": {"10 cut_off node=b\n20 online node=b channel=presence.x users=u,v", violations{judge.PresenceRule: 1}},
		"back":                  {"10 cut_off node=b\n20 up node=b\n30 online node=a channel=presence.x users=u", violations{judge.PresenceRule: 1}},
		"another socket": {`
			7 in who=l user=v node=a channel=presence.x
			10 out who=k user=v channel=presence.x
			20 online node=a channel=presence.x users=u,v`, violations{}},
		"another socket, missing": {`
			7 in who=l user=v node=a channel=presence.x
			10 out who=k user=v channel=presence.x
			20 online node=a channel=presence.x users=u`, violations{judge.PresenceRule: 1}},
	} {
		t.Run(name, func(t *testing.T) { with(t, room+"\n"+c.more, c.want) })
	}
}

func TestFigures(t *testing.T) {
	v := with(t, `
		6 acked who=q n=1 channel=history.steady-0 node=a took=0.1
		6.5 fault node=b what=kill_-9
		6.5 down node=b
		6 in who=k user=v node=b channel=presence.x
		9 acked who=q n=2 channel=history.steady-0 node=a took=2.5
		9.1 unsure who=q n=3 channel=history.steady-0 node=a took=0.1
		10 up node=b
		11 healthy node=b took=2
		12 over what=kill_-9
		12 fault node=a what=cut
		20 acked who=q n=4 channel=history.steady-0 node=a took=0.1
		20.2 acked who=q n=5 channel=history.steady-0 node=a took=0.1
		42 acked who=q n=6 channel=history.steady-0 node=a took=21.7
		6 ended who=s
		13 subscribed who=s channel=history.z node=b
		14 acked who=z n=1 channel=history.z node=a
		16 got who=s by=z n=1 channel=history.z node=b
	`, violations{judge.StallRule: 1})
	kill, cut := v.Figures.Faults[judge.Kill], v.Figures.Faults[judge.Cut]
	if kill == nil || kill.Count != 1 || kill.Stall != 3*time.Second || kill.Ack != 2500*time.Millisecond || kill.Unsure != 1 {
		t.Errorf("kill: %+v", kill)
	}
	if cut == nil || cut.Stall != 11*time.Second {
		t.Errorf("cut: %+v", cut)
	}
	if f := v.Figures; f.Healthy != 2*time.Second || f.Filled != 2*time.Second {
		t.Errorf("%+v", f)
	}
}

// What comes late is a violation. The time in which a node is disturbed does not count.
func TestLate(t *testing.T) {
	v := with(t, `
		6 acked who=p n=3 channel=history.x node=a
		6 got who=s by=p n=3 channel=history.x node=a seq=13
		5.5 cut_off node=b
		16 up node=b
		17 got who=r by=p n=3 channel=history.x node=b seq=13
	`, violations{})
	if v.Figures.Filled != time.Second {
		t.Errorf("%v", v.Figures.Filled)
	}
	v = with(t, `
		6 acked who=p n=3 channel=history.x node=a
		6 got who=s by=p n=3 channel=history.x node=a seq=13
		6.1 paused node=b
		16 up node=b
		17 got who=r by=p n=3 channel=history.x node=b seq=13
	`, violations{})
	if v.Figures.Filled != time.Second {
		t.Errorf("the node was stopped just after, and that counts: %v", v.Figures.Filled)
	}
	with(t, `
		6 acked who=p n=3 channel=history.x node=a
		6 got who=s by=p n=3 channel=history.x node=a seq=13
		14 got who=r by=p n=3 channel=history.x node=b seq=13
	`, violations{judge.LateRule: 1})
}

// The time in which nobody can publish on a channel is a figure of its own.
func TestLateAfterElection(t *testing.T) {
	v := with(t, `
		5.5 subscribed who=r channel=history.steady-0 node=b
		6 acked who=q n=1 channel=history.steady-0 node=a took=0.1
		6 got who=r by=q n=1 channel=history.steady-0 node=b seq=13
		6.5 acked who=q n=2 channel=history.steady-0 node=a took=0.1
		10 acked who=q n=3 channel=history.steady-0 node=a took=3.4
		10.2 acked who=q n=4 channel=history.steady-0 node=a took=0.1
		11 got who=r by=q n=2 channel=history.steady-0 node=b seq=14
		11 got who=r by=q n=3 channel=history.steady-0 node=b seq=15
		11 got who=r by=q n=4 channel=history.steady-0 node=b seq=16
		11.1 acked who=q n=5 channel=history.steady-0 node=a took=0.1
		15 got who=r by=q n=5 channel=history.steady-0 node=b seq=17
	`, violations{})
	if f := v.Figures; f.Filled != 4500*time.Millisecond || f.FilledLed != time.Second {
		t.Errorf("%v, %v", f.Filled, f.FilledLed)
	}
}

// After kill -9, a user who does not come back is named for a time.
func TestGhost(t *testing.T) {
	v := with(t, `
		6 in who=k user=v node=b channel=presence.x
		20 fault node=b what=kill_-9
		20 down node=b
		20 out who=k user=v channel=presence.x
		21 online node=a channel=presence.x users=v
		22.5 online node=a channel=presence.x users=v
		23 online node=a channel=presence.x users=nobody
	`, violations{})
	if v.Figures.Ghost != 2500*time.Millisecond {
		t.Errorf("%v", v.Figures.Ghost)
	}
}

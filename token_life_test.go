package socketcluster

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
)

// tokenUntil is a token with that exp.
func tokenUntil(t *testing.T, exp time.Time) *auth.Token {
	t.Helper()
	token, err := auth.NewToken("", fmt.Appendf(nil, `{"exp":%d}`, exp.Unix()))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// Each change of the token begins an epoch that no subscription has as a lost one,
// and ends the renewal of the token before.
func TestTokenChange(t *testing.T) {
	a, b := tokenUntil(t, time.Now().Add(time.Hour)), tokenUntil(t, time.Now().Add(time.Hour))
	var l tokenLife
	l.epoch.Store(lostEpoch - 3)
	for i, step := range []struct {
		token *auth.Token
		from  origin
		epoch uint32
	}{
		{nil, fromClient, lostEpoch - 3},
		{a, fromRequest, lostEpoch - 2},
		{a, fromPrincipal, lostEpoch - 2}, // the same one
		{nil, fromClient, lostEpoch - 1},
		{b, fromRequest, 0},
		{a, fromClient, 1},
	} {
		before := l.epoch.Load()
		l.renewAt(1)
		if changed := l.set(step.token, step.from); changed != (step.epoch != before) {
			t.Errorf("step %d: changed is %t", i, changed)
		}
		if l.Load() != step.token || l.origin != step.from || l.epoch.Load() != step.epoch || l.renewal != 0 {
			t.Errorf("step %d: token %v of origin %d in epoch %d, to be renewed at %d", i, l.Load(), l.origin, l.epoch.Load(), l.renewal)
		}
		if !l.inForce(step.epoch) || !l.inForceAt(step.epoch, 1) {
			t.Errorf("step %d: its own epoch is not in force", i)
		}
		if step.epoch != before && (l.inForce(before) || l.inForceAt(before, 1)) {
			t.Errorf("step %d: the epoch before is in force", i)
		}
	}
}

// Whoever reads the epoch and then the token has the token of that epoch or a later one:
// what middleware allows for an old token is not taken for an approval of the new one.
func TestTokenChangesBeforeItsEpoch(t *testing.T) {
	const changes = 2_000
	index := make(map[*auth.Token]uint32, changes)
	tokens := make([]*auth.Token, changes)
	for i := range tokens {
		tokens[i] = new(auth.Token)
		index[tokens[i]] = uint32(i + 1)
	}
	for range 200 {
		var l tokenLife
		go func() {
			for _, token := range tokens {
				l.set(token, fromClient)
			}
		}()
		for epoch := uint32(0); epoch < changes; {
			epoch = l.epoch.Load()
			if token := index[l.Load()]; token < epoch {
				t.Fatalf("token %d in epoch %d", token, epoch)
			}
		}
	}
}

// The end of a token and its renewal are due once each, the end first; and the end
// follows the wall clock when that is set.
func TestTokenDue(t *testing.T) {
	const second = moment(time.Second)
	end := time.Unix(2_000_000_000, 0)
	token := tokenUntil(t, end)
	var l tokenLife
	if at := l.next(end, 100*second); at != 0 {
		t.Errorf("without a token something is due at %d", at)
	}
	l.set(token, fromClient)
	for _, left := range []time.Duration{9 * time.Second, 5 * time.Second, 7 * time.Second} {
		want := 100*second + moment(left+time.Millisecond)
		if at := l.next(end.Add(-left), 100*second); at != want || l.inForceAt(1, want) || !l.inForceAt(1, want-1) {
			t.Errorf("%v before its end the token ends at %d, want %d", left, at, want)
		}
	}
	l.renewAt(103 * second)
	if at := l.next(end.Add(-7*time.Second), 100*second); at != 103*second {
		t.Errorf("the renewal is due at %d", at)
	}
	now := end.Add(-4 * time.Second)
	if expired, renew := l.due(now, 103*second-1); expired != nil || renew {
		t.Error("something is due early")
	}
	if expired, renew := l.due(now, 103*second); expired != nil || !renew {
		t.Error("the renewal is not due")
	}
	if expired, renew := l.due(now, 104*second); expired != nil || renew {
		t.Error("the renewal is due twice")
	}
	l.renewAt(103 * second)
	if expired, renew := l.due(end.Add(time.Second), 108*second); expired != token || renew {
		t.Error("an expired token is not due, or is to be renewed")
	}
	if l.set(tokenUntil(t, time.Now().Add(-time.Second)), fromClient); l.inForce(l.epoch.Load()) {
		t.Error("what an expired token allowed is in force")
	}
	l.set(token, fromClient)
	if at := l.next(end, 107*second); at != 107*second+moment(time.Millisecond) {
		t.Errorf("after the end of its token the renewal is still due, at %d", at)
	}
}

// A socket that has closed renews no token: its timer would keep it in memory.
func TestClosedSocketRenewsNothing(t *testing.T) {
	s, _ := lone(t, Config{})
	defer s.srv.wheel.Close()
	s.mu.Lock()
	s.token.renewAt(s.srv.moment(time.Now().Add(time.Hour)))
	s.mu.Unlock()
	s.becomeClosed()
	if at := s.token.next(time.Now(), s.srv.moment(time.Now())); at != 0 {
		t.Errorf("the renewal is due at %d", at)
	}
}

// Nothing but token_life.go writes what a tokenLife holds.
func TestTokenHasOneWriter(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	write := regexp.MustCompile(`\.token\.(\w+(, [^=]+)? [-+|]?= |\w+\.(Store|Swap|CompareAndSwap|Add)\(|set\(|announce\()|&\w+\.token\b`)
	seen := 0
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			switch {
			case strings.HasSuffix(name, "_test.go") || !write.MatchString(line):
			case name == "token_life.go":
				seen++
			default:
				t.Errorf("%s: %s", name, line)
			}
		}
	}
	if seen == 0 {
		t.Error("no writer was found")
	}
}

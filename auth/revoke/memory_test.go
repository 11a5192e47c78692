package revoke_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
)

func TestRevocationsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m revoke.Memory
		now := time.Now()
		add(t, &m, revoke.Revocation{JTI: "short", Until: now.Add(time.Minute)})
		add(t, &m, revoke.Revocation{Session: "long", Until: now.Add(time.Hour)})
		add(t, &m, revoke.Revocation{Subject: "good", Before: now})
		time.Sleep(time.Minute)
		check(t, &m, `{"jti":"short"}`, true) // at the moment itself
		time.Sleep(time.Second)
		check(t, &m, `{"jti":"short"}`, false)
		if m.Len() != 2 {
			t.Errorf("%d are held before the next Add", m.Len())
		}
		add(t, &m, revoke.Revocation{JTI: "more"})
		if m.Len() != 3 {
			t.Errorf("%d are held after it", m.Len())
		}
		time.Sleep(time.Hour)
		check(t, &m, `{"sid":"long"}`, false)
		time.Sleep(1e6 * time.Hour)
		check(t, &m, `{"sub":"good"}`, true)
		check(t, &m, `{"jti":"more"}`, true)
	})
}

func TestWhatHasPassedIsNotHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m revoke.Memory
		m.Watch(func(revoke.Revocation) { t.Error("a watcher was notified") })
		add(t, &m, revoke.Revocation{JTI: "a", Until: time.Now().Add(-time.Second)})
		check(t, &m, `{"jti":"a"}`, false)
		if m.Len() != 0 {
			t.Error("it is held")
		}
	})
}

func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := revoke.Memory{Limit: 2}
		told := 0
		m.Watch(func(revoke.Revocation) { told++ })
		add(t, &m, revoke.Revocation{JTI: "a", Until: time.Now().Add(time.Minute)})
		add(t, &m, revoke.Revocation{Session: "b"})
		if err := m.Add(t.Context(), revoke.Revocation{JTI: "c"}); !errors.Is(err, revoke.ErrFull) {
			t.Errorf("the third: %v", err)
		}
		check(t, &m, `{"jti":"a"}`, true)
		check(t, &m, `{"sid":"b"}`, true)
		check(t, &m, `{"jti":"c"}`, false)
		// A revocation that is already there needs no room.
		add(t, &m, revoke.Revocation{Session: "b", Disconnect: true})
		if told != 3 {
			t.Errorf("watchers received %d", told)
		}
		// Time makes room.
		if err := m.Room(revoke.Revocation{JTI: "c"}, 2); !errors.Is(err, revoke.ErrFull) {
			t.Errorf("room for a third: %v", err)
		}
		time.Sleep(time.Minute + time.Second)
		if err := m.Room(revoke.Revocation{JTI: "c"}, 2); err != nil {
			t.Errorf("room after a minute: %v", err)
		}
		add(t, &m, revoke.Revocation{JTI: "c"})
		check(t, &m, `{"jti":"c"}`, true)
	})
}

func TestManyClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m revoke.Memory
		payload := `{"iat":1`
		for i := range 8 {
			claim := fmt.Sprint("claim", i)
			add(t, &m, revoke.Revocation{Subject: "u", Claim: claim, Until: time.Now().Add(time.Duration(i+1) * time.Minute)})
			check(t, &m, fmt.Sprintf(`{%q:"u","iat":1}`, claim), true)
			payload += fmt.Sprintf(`,%q:"u"`, claim)
		}
		check(t, &m, payload+"}", true)
		if err := m.Add(t.Context(), revoke.Revocation{JTI: "a"}); err == nil || errors.Is(err, revoke.ErrFull) {
			t.Errorf("a ninth claim: %v", err)
		}
		if err := m.Room(revoke.Revocation{JTI: "a"}, 100); err == nil || errors.Is(err, revoke.ErrFull) {
			t.Errorf("room for a ninth claim: %v", err)
		}
		// A claim by which nothing is revoked now makes room.
		time.Sleep(time.Minute + time.Second)
		add(t, &m, revoke.Revocation{JTI: "a"})
		check(t, &m, `{"jti":"a"}`, true)
		check(t, &m, `{"claim0":"u"}`, false)
		check(t, &m, `{"claim1":"u"}`, true)
	})
}

// Of several revocations of a token, one that disconnects is found.
func TestDisconnectWins(t *testing.T) {
	token := tokenOf(t, `{"jti":"a","sid":"b","sub":"c","iat":1}`)
	all := []revoke.Revocation{{JTI: "a"}, {Session: "b", Disconnect: true}, {Subject: "c"}}
	for range len(all) {
		all = append(all[1:], all[0])
		var m revoke.Memory
		for _, r := range all {
			add(t, &m, r)
		}
		if r, _ := m.Check(token); r.Session != "b" || !r.Disconnect {
			t.Errorf("got %+v", r)
		}
	}
}

func TestMerge(t *testing.T) {
	var m revoke.Memory
	add(t, &m, revoke.Revocation{Subject: "u", Before: second(100), Until: second(1e10), Disconnect: true, Reason: "first"})
	add(t, &m, revoke.Revocation{Subject: "u", Before: second(50), Until: second(2e10)})
	want := revoke.Revocation{Subject: "u", Before: second(100), Until: second(2e10), Disconnect: true, Reason: "first"}
	token := tokenOf(t, `{"sub":"u","iat":100}`)
	if r, _ := m.Check(token); r != want {
		t.Errorf("got %+v", r)
	}
	add(t, &m, revoke.Revocation{Subject: "u", Before: second(100), Reason: "second"})
	want.Until, want.Reason = time.Time{}, "second"
	if r, _ := m.Check(token); r != want || m.Len() != 1 {
		t.Errorf("got %+v, %d held", r, m.Len())
	}
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m revoke.Memory
		var told []string
		watch := func(name string) (stop func()) {
			return m.Watch(func(r revoke.Revocation) {
				if _, revoked := m.Check(tokenOf(t, `{"sub":"u","iat":1}`)); !revoked {
					t.Error("a watcher was notified before Check")
				}
				told = append(told, fmt.Sprint(name, " ", r.Subject, " ", time.Since(r.Before)))
			})
		}
		stopA := watch("a")
		watch("b")
		time.Sleep(200 * time.Millisecond)
		add(t, &m, revoke.Revocation{Subject: "u"})
		stopA()
		stopA()
		add(t, &m, revoke.Revocation{Subject: "u"})
		if got, want := fmt.Sprint(told), "[a u 0s b u 0s b u 0s]"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

// A watcher that cannot be called panics where it is added.
func TestWatchNil(t *testing.T) {
	defer func() {
		if recover() != "revoke: Watch with a nil function" {
			t.Error("a nil function may watch")
		}
	}()
	new(revoke.Memory).Watch(nil)
}

// A watcher may use the store.
func TestWatcherMayAdd(t *testing.T) {
	var m revoke.Memory
	m.Watch(func(r revoke.Revocation) {
		if r.Session != "" {
			add(t, &m, revoke.Revocation{JTI: "of " + r.Session})
		}
	})
	add(t, &m, revoke.Revocation{Session: "s"})
	check(t, &m, `{"jti":"of s"}`, true)
}

func TestConcurrentUse(t *testing.T) {
	m := revoke.Memory{Limit: 500}
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			stop := m.Watch(func(r revoke.Revocation) {
				if _, ok := m.Check(tokenOf(t, fmt.Sprintf(`{"jti":%q}`, r.JTI))); !ok {
					t.Errorf("%s is not revoked", r.JTI)
				}
			})
			defer stop()
			for i := range 100 {
				jti := fmt.Sprint(g, "-", i)
				add(t, &m, revoke.Revocation{JTI: jti, Until: second(1e10 + int64(i%7))})
				check(t, &m, `{"jti":"`+jti+`"}`, true)
				check(t, &m, `{"jti":"other"}`, false)
			}
		})
	}
	all.Wait()
	if m.Len() != 400 {
		t.Errorf("%d are held", m.Len())
	}
}

func TestEngine(t *testing.T) {
	inner, err := auth.NewJWT(auth.Options{Key: "0123456789abcdef0123456789abcdef"})
	if err != nil {
		t.Fatal(err)
	}
	engine := revoke.Engine{Engine: inner, Store: &revoke.Memory{}}
	token, err := engine.Sign(t.Context(), map[string]any{"sub": "u"}, auth.JWTID("a"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := engine.Verify(t.Context(), token.Signed()); err != nil {
		t.Errorf("before: %v", err)
	}
	add(t, engine.Store, revoke.Revocation{JTI: "a"})
	if got, err := engine.Verify(t.Context(), token.Signed()); got != nil || !errors.Is(err, revoke.Revocation{}.Err()) {
		t.Errorf("after: %v, %v", got, err)
	}
	// Other faults of a token are reported first.
	if _, err := engine.Verify(t.Context(), token.Signed()+"x"); err == nil || errors.Is(err, revoke.Revocation{}.Err()) {
		t.Errorf("bad signature: %v", err)
	}
}

// Neither a check of an empty store nor one that finds nothing may cost much.
func TestAllocations(t *testing.T) {
	token := tokenOf(t, `{"sub":"u","jti":"j","iat":1}`)
	var m revoke.Memory
	if n := testing.AllocsPerRun(100, func() { m.Check(token) }); n != 0 {
		t.Errorf("%v allocations with an empty store", n)
	}
	add(t, &m, revoke.Revocation{JTI: "other"})
	if n := testing.AllocsPerRun(100, func() { m.Check(token) }); n > 1 {
		t.Errorf("%v allocations for a token that is not revoked", n)
	}
}

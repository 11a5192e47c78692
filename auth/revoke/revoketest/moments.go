package revoketest

import (
	"fmt"
	"time"

	"github.com/socketcluster-go/socketcluster/auth/revoke"
)

// several: two revocations of the same thing both keep their effect, in either
// order.
func (k *kit) several() {
	for i, wide := range []bool{true, false} {
		user := fmt.Sprint("u", i)
		moments := []time.Time{time.Unix(50, 0), time.Unix(100, 0)}
		if wide {
			moments[0], moments[1] = moments[1], moments[0]
		}
		for _, before := range moments {
			k.add(revoke.Revocation{Subject: user, Before: before, Until: hour()})
		}
		k.revoked(`{"sub":"` + user + `","iat":50}`)
		k.revoked(`{"sub":"` + user + `","iat":100}`)
		k.good(`{"sub":"` + user + `","iat":101}`)
	}
	k.add(revoke.Revocation{JTI: "a", Until: hour()})
	k.add(revoke.Revocation{JTI: "a", Until: hour()})
	k.add(revoke.Revocation{JTI: "b", Until: hour()})
	k.revoked(`{"jti":"a"}`)
	k.revoked(`{"jti":"b"}`)
}

// disconnect: of several revocations of a token, Check returns one with
// Disconnect.
func (k *kit) disconnect() {
	for i := range 3 {
		all := []revoke.Revocation{
			{JTI: fmt.Sprint("a", i), Until: hour()},
			{Session: fmt.Sprint("b", i), Until: hour(), Disconnect: true, Reason: "stolen"},
			{Subject: fmt.Sprint("c", i), Until: hour()},
		}
		for j := range all {
			k.add(all[(i+j)%3])
		}
		payload := fmt.Sprintf(`{"jti":"a%d","sid":"b%d","sub":"c%d","iat":1}`, i, i, i)
		if r := k.revoked(payload); !r.Disconnect || r.Reason != "stolen" {
			k.Errorf("Check returns %+v, but one of the three revocations of %s disconnects", r, payload)
		}
		if r := k.revoked(fmt.Sprintf(`{"jti":"a%d"}`, i)); r.Disconnect {
			k.Errorf("Check returns %+v, but that revocation was added without Disconnect", r)
		}
	}
	// A revocation of another token does not count.
	k.add(revoke.Revocation{JTI: "fresh", Until: hour()})
	k.add(revoke.Revocation{Subject: "old", Before: time.Unix(100, 0), Until: hour(), Disconnect: true})
	if r := k.revoked(`{"jti":"fresh","sub":"old","iat":200}`); r.Disconnect {
		k.Errorf("Check returns %+v for a token that was issued later", r)
	}
}

// until: no revocation is forgotten before the end of the second of its Until,
// nor because of another revocation of the same thing.
func (k *kit) until() {
	until := time.Now().Truncate(time.Second).Add(time.Second + time.Millisecond)
	last := until.Truncate(time.Second).Add(time.Second) // normal form
	k.add(revoke.Revocation{JTI: "short", Until: until})
	k.add(revoke.Revocation{JTI: "exact", Until: last})
	k.add(revoke.Revocation{JTI: "good"})
	k.add(revoke.Revocation{JTI: "long", Until: hour()})
	k.add(revoke.Revocation{JTI: "long", Until: until})
	k.add(revoke.Revocation{Session: "good"})
	k.add(revoke.Revocation{Session: "good", Until: until})
	k.add(revoke.Revocation{Subject: "late", Until: until})
	k.add(revoke.Revocation{Subject: "late", Until: hour()})
	var early []string
	for !time.Now().After(last) && len(early) == 0 {
		for _, payload := range []string{`{"jti":"short"}`, `{"jti":"exact"}`} {
			_, ok := k.store.Check(k.token(payload))
			// The clock is read after the check, so that a slow machine causes
			// no error.
			if now := time.Now(); !ok && !now.After(last) {
				early = append(early, fmt.Sprintf("%s, %v before", payload, last.Sub(now)))
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	if len(early) > 0 {
		k.Errorf("Check no longer finds a revocation, although its Until has not passed: %q", early)
	}
	time.Sleep(time.Until(last.Add(time.Second)))
	k.add(revoke.Revocation{JTI: "more", Until: hour()}) // stores may tidy up
	for _, payload := range []string{`{"jti":"good"}`, `{"jti":"long"}`, `{"sid":"good"}`, `{"sub":"late","iat":1}`} {
		k.revoked(payload)
	}
}

// passed: a revocation whose Until has passed changes nothing.
func (k *kit) passed() {
	received := k.watch()
	past := time.Now().Add(-time.Hour)
	k.add(revoke.Revocation{JTI: "a", Until: past})
	k.add(revoke.Revocation{Subject: "u", Until: past})
	k.good(`{"jti":"a"}`)
	k.good(`{"sub":"u","iat":1}`)
	if all := received.all(); len(all) > 0 {
		k.Errorf("watchers were notified of revocations that had passed: %+v", all)
	}
	k.add(revoke.Revocation{JTI: "b", Until: hour()})
	k.add(revoke.Revocation{JTI: "b", Until: past, Disconnect: true})
	if r := k.revoked(`{"jti":"b"}`); r.Disconnect {
		k.Errorf("Check returns %+v after an Add that should change nothing", r)
	}
}

// watchers: when Add returns, each watcher has been notified, at a time when
// Check already found the revocation.
func (k *kit) watchers() {
	token := k.token(`{"sid":"s"}`)
	early := new(log)
	k.Cleanup(k.store.Watch(func(r revoke.Revocation) {
		if _, ok := k.store.Check(token); !ok && r.Session == "s" {
			early.add(r)
		}
	}))
	all := []*log{k.watch(), k.watch(), k.watch()}
	for _, r := range []revoke.Revocation{{Session: "s"}, {JTI: "a", Until: hour()}, {Subject: "u", Until: hour()}, {Subject: "n", Claim: "username", Until: hour()}} {
		k.add(r)
		for i, l := range all {
			if !l.has(r) {
				k.Errorf("Add(%+v) has returned, but watcher %d was not notified", r, i)
			}
		}
	}
	if len(early.all()) > 0 {
		k.Error("a watcher was notified before Check found the revocation")
	}
	// They are also notified of a revocation that is already known.
	again := k.watch()
	k.add(revoke.Revocation{Session: "s", Disconnect: true})
	if received := again.all(); len(received) == 0 || !received[len(received)-1].Disconnect {
		k.Errorf("a second revocation of a session disconnects, but watchers received %+v", received)
	}
}

// normalForm: watchers and Check get a revocation in the form of
// [revoke.Revocation.Normalize].
func (k *kit) normalForm() {
	zone := time.FixedZone("", 3600)
	until := hour().Truncate(time.Second).Add(time.Millisecond).In(zone)
	for i, r := range []revoke.Revocation{
		{JTI: "a", Until: until, Reason: "stolen", Disconnect: true},
		{Session: "s"},
		{Subject: "u", Before: time.Unix(100, 999e6).In(zone), Until: until},
		{Subject: "n", Claim: "username", Before: time.Unix(100, 1), Until: until, Reason: "left"},
		{Subject: "now", Until: until},
	} {
		received := k.watch()
		earliest, err := r.Normalize(time.Now())
		if err != nil {
			k.Fatal(err)
		}
		k.add(r)
		latest, _ := r.Normalize(time.Now())
		payload := []string{`{"jti":"a"}`, `{"sid":"s"}`, `{"sub":"u","iat":1}`, `{"username":"n","iat":1}`, `{"sub":"now","iat":1}`}[i]
		found := k.revoked(payload)
		for _, got := range append(received.all(), found) {
			if !normal(got, earliest, latest) {
				k.Errorf("Add(%+v) makes it known as %+v, want %+v", r, got, earliest)
			}
		}
	}
}

// normal reports whether a revocation is one of two normal forms, or has a
// moment of Add in between.
func normal(r, earliest, latest revoke.Revocation) bool {
	if again, err := r.Normalize(time.Time{}); err != nil || !same(again, r) {
		return false
	}
	if !r.Before.Before(earliest.Before) && !r.Before.After(latest.Before) {
		earliest.Before = r.Before
	}
	return same(r, earliest)
}

// stop: a watcher that has been stopped is no longer notified, and others are.
func (k *kit) stop() {
	var gone, stays log
	stop := k.store.Watch(gone.add)
	k.Cleanup(k.store.Watch(stays.add))
	first, second := revoke.Revocation{JTI: "first", Until: hour()}, revoke.Revocation{JTI: "second", Until: hour()}
	k.add(first)
	stop()
	k.add(second)
	if !gone.has(first) || gone.has(second) {
		k.Errorf("a watcher that was stopped after the first revocation received %+v", gone.all())
	}
	if !stays.has(first) || !stays.has(second) {
		k.Errorf("another watcher received %+v", stays.all())
	}
	k.revoked(`{"jti":"second"}`)
}

package revoketest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/socketcluster-go/socketcluster/auth/revoke"
)

func (k *kit) tokens() {
	k.good(`{"jti":"a","sid":"s","sub":"u","username":"n","iat":1}`)
	all := []revoke.Revocation{
		{JTI: "a", Until: hour()},
		{Session: "s", Until: hour()},
		{Subject: "u", Until: hour()},
		{Subject: "n", Claim: "username", Until: hour()},
		{Subject: "42", Claim: "id", Until: hour()},
		{JTI: "x/é", Reason: "text of all kinds"},
	}
	for _, r := range all {
		k.add(r)
	}
	for _, payload := range []string{
		`{"jti":"a"}`, `{"jti":"a","iat":9999999999}`, `{"iat":1,"sub":"other","jti":"a"}`,
		`{"sid":"s"}`, `{"sid":"s","jti":"other","iat":9999999999}`,
		`{"sub":"u","iat":1}`, `{"sub":"u"}`,
		`{"username":"n","iat":1}`,
		`{"id":42,"iat":1}`, `{"id":"42","iat":1}`,
		`{"jti":"x/é"}`, ` { "j\u0074i" : "x\/\u00e9" } `,
	} {
		k.revoked(payload)
	}
	for _, payload := range []string{
		`{}`, `{"jti":"A"}`, `{"jti":"aa"}`, `{"jti":""}`, `{"jti":null}`, `{"jti":["a"]}`, `{"JTI":"a"}`,
		`{"x":{"jti":"a"},"y":["jti","a"]}`,
		`{"jti":"s"}`, `{"sid":"a"}`, `{"sid":"u"}`, `{"sub":"a","iat":1}`, `{"sub":"s","iat":1}`, `{"sub":"n","iat":1}`,
		`{"username":"u","iat":1}`, `{"username":"a","iat":1}`,
		`{"id":4.2e1,"iat":1}`, `{"id":42.0,"iat":1}`, `{"id":true,"iat":1}`, `{"id":420,"iat":1}`,
	} {
		k.good(payload)
	}
}

// session: a session ends as a whole, or its tokens up to a time of signature.
func (k *kit) session() {
	k.add(revoke.Revocation{Session: "old", Before: time.Unix(100, 500_000_000), Until: hour()})
	for _, at := range []string{`1`, `100`, `100.5`, `null`, `"200"`, `9999999999`} {
		k.revoked(`{"sid":"old","iat":` + at + `,"auth_time":200}`)
	}
	k.revoked(`{"sid":"old","auth_time":200}`)
	for _, at := range []string{`101`, `100.501`} {
		k.good(`{"sid":"old","iat":` + at + `,"auth_time":1}`)
	}
	k.add(revoke.Revocation{Session: "old", Before: time.Unix(99, 0), Until: hour()})
	k.revoked(`{"sid":"old","iat":100}`)
	k.add(revoke.Revocation{Session: "old", Until: hour()})
	k.add(revoke.Revocation{Session: "old", Before: time.Unix(99, 0), Until: hour()})
	k.revoked(`{"sid":"old","iat":101}`)
}

// login: a token belongs to a login up to a moment if its auth_time, or else
// its iat, is not later than the moment, or is more than a minute ahead of the
// clock.
func (k *kit) login() {
	k.add(revoke.Revocation{Subject: "u", Before: time.Unix(100, 0), Until: hour()})
	k.add(revoke.Revocation{Subject: "v", Before: time.Unix(100, 500_001_000), Until: hour()})
	k.add(revoke.Revocation{Subject: "w", Claim: "name", Before: time.Unix(100, 0), Until: hour()})
	now := fmt.Sprint(time.Now().Unix())
	for _, name := range []string{`"sub":"u"`, `"sub":"v"`, `"name":"w"`} {
		for _, at := range []string{`1`, `99`, `100`, `99.9999999999`, `-1e30`, `"200"`, `null`} {
			k.revoked(`{` + name + `,"iat":` + at + `}`)
			k.revoked(`{"auth_time":` + at + `,` + name + `,"iat":` + now + `}`)
		}
		k.revoked(`{` + name + `}`)
		for _, at := range []string{`101`, `101.0`, `100.9`, now} {
			k.good(`{` + name + `,"iat":` + at + `}`)
			k.good(`{` + name + `,"iat":1,"auth_time":` + at + `}`)
		}
		// Nobody can have logged in at that time.
		for _, at := range []string{fmt.Sprint(time.Now().Unix() + 3600), `1e30`} {
			k.revoked(`{` + name + `,"iat":` + at + `}`)
			k.revoked(`{` + name + `,"iat":` + now + `,"auth_time":` + at + `}`)
		}
	}
	k.revoked(`{"sub":"v","auth_time":100.500001}`)
	k.good(`{"sub":"v","auth_time":100.500002}`)
	// Without Before, it is the moment of Add.
	start := time.Now()
	k.add(revoke.Revocation{Subject: "now", Until: hour()})
	k.revoked(fmt.Sprintf(`{"sub":"now","iat":%d}`, start.Unix()))
	k.revoked(fmt.Sprintf(`{"sub":"now","auth_time":%d.%06d}`, start.Unix(), start.Nanosecond()/1000))
	k.good(fmt.Sprintf(`{"sub":"now","iat":%d}`, time.Now().Unix()+1))
}

func (k *kit) invalid() {
	received := k.watch()
	long := strings.Repeat("x", 1025)
	for _, r := range []revoke.Revocation{
		{},
		{Reason: "all", Before: time.Unix(1, 0)},
		{JTI: "a", Session: "b"},
		{JTI: "a", Subject: "c"},
		{Session: "b", Subject: "c"},
		{JTI: "a", Session: "b", Subject: "c"},
		{Session: "b", Claim: "name"},
		{Claim: "name"},
		{JTI: "a", Before: time.Unix(4e9, 0)},
		{Subject: "a", Claim: "jti"},
		{Subject: "b", Claim: "sid"},
		{JTI: long},
		{JTI: "a", Reason: long},
	} {
		if err := k.store.Add(k.Context(), r); err == nil {
			k.Errorf("Add accepts %.200s", fmt.Sprintf("%+v", r))
		}
	}
	for _, payload := range []string{`{"jti":"a"}`, `{"sid":"b"}`, `{"sub":"c"}`, `{"sub":"a"}`, `{"sub":"b"}`, `{"jti":""}`, `{}`, `{"jti":"` + long + `"}`} {
		k.good(payload)
	}
	if all := received.all(); len(all) > 0 {
		k.Errorf("watchers were notified of what Add has refused: %.500s", fmt.Sprintf("%+v", all))
	}
}

// context: a call with a context that is done may succeed or fail, and its
// result is true.
func (k *kit) context() {
	received := k.watch()
	ctx, cancel := context.WithCancel(k.Context())
	cancel()
	r := revoke.Revocation{Session: "done", Until: hour()}
	if err := k.store.Add(ctx, r); err == nil {
		k.revoked(`{"sid":"done"}`)
		if !received.has(r) {
			k.Error("Add with a context that is done returns nil, but the watchers have not been notified")
		}
	}
	// The store works as before.
	r = revoke.Revocation{Session: "after", Until: hour()}
	k.add(r)
	k.revoked(`{"sid":"after"}`)
	if !received.has(r) {
		k.Error("after an Add with a context that is done, watchers are no longer notified")
	}
}

func (k *kit) concurrency() {
	var users sync.WaitGroup
	for g := range 8 {
		users.Go(func() {
			received := new(log)
			stop := k.store.Watch(received.add)
			defer stop()
			for i := range 16 {
				id := fmt.Sprint(g, "-", i)
				r := revoke.Revocation{JTI: id, Until: hour()}
				if err := k.store.Add(k.Context(), r); err != nil {
					k.Errorf("Add: %v", err)
					return
				}
				k.revoked(`{"jti":"` + id + `"}`)
				k.good(`{"jti":"other-` + id + `"}`)
				if !received.has(r) {
					k.Errorf("Add has returned before a watcher was notified of %s", id)
				}
			}
		})
	}
	users.Wait()
	for g := range 8 {
		k.revoked(fmt.Sprintf(`{"jti":"%d-15"}`, g))
	}
}

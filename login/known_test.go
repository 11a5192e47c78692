package login

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// addressesOf lists what is known, and checks that it holds together.
func (k *known) addressesOf(t *rapid.T) map[uint64][]uint64 {
	all := make(map[uint64][]uint64)
	count := 0
	for n := range k.byCount {
		for e := k.byCount[n].Front(); e != nil; e = e.Next() {
			u := e.Value.(*knownUser)
			if k.users[u.key] != e || len(u.addresses) != n || n == 0 {
				t.Fatalf("user %d with %d addresses is kept among those with %d", u.key, len(u.addresses), n)
			}
			all[u.key] = slices.Clone(u.addresses)
			count += n
		}
	}
	if len(all) != len(k.users) || count != k.count || count > k.limit {
		t.Fatalf("%d users and %d addresses, recorded as %d and %d, with a limit of %d", len(all), count, len(k.users), k.count, k.limit)
	}
	return all
}

// What is known is bounded, for each user and for all; nothing is forgotten
// while there is room; a user who is known takes a place only from one who has
// more than both of them then have, and nobody else from any but who has most.
func TestKnown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := newKnown(rapid.IntRange(1, 60).Draw(t, "limit"))
		// Some log in from ever new addresses, others from a few.
		users := rapid.IntRange(1, 12).Draw(t, "users")
		for range rapid.IntRange(1, 200).Draw(t, "logins") {
			user := rapid.Uint64Range(1, uint64(users)).Draw(t, "user")
			address := rapid.Uint64Range(1, 1+user*3).Draw(t, "address")
			before := k.addressesOf(t)
			k.add(user, address)
			after := k.addressesOf(t)
			if !k.has(user, address) || k.has(user, 0) || k.has(0, address) {
				t.Fatalf("after the login of user %d from %d: %v", user, address, after)
			}
			if own := after[user]; len(own) > maxAddresses || own[len(own)-1] != address {
				t.Fatalf("user %d has %v", user, own)
			}
			total, most := 0, 0
			for _, list := range before {
				total += len(list)
				most = max(most, len(list))
			}
			lost := 0
			for other, list := range before {
				for i, a := range list {
					if k.has(other, a) {
						continue
					}
					lost++
					if i > 0 && (other != user || list[0] != address) {
						t.Fatalf("user %d has lost %d of %v, which is not the oldest", other, a, list)
					}
					if own := len(before[user]); other == user {
						if own < maxAddresses && own+1 < most {
							t.Fatalf("user %d has lost one of %d addresses, and another has %d", user, own, most)
						}
						continue
					}
					if total < k.limit {
						t.Fatalf("user %d has lost %d, and there was room", other, a)
					}
					if len(list) < most || len(before[user]) > 0 && len(list) <= len(after[user]) {
						t.Fatalf("user %d with %d addresses has lost one to user %d with %d; most is %d", other, len(list), user, len(after[user]), most)
					}
				}
			}
			if lost > 1 || lost == 1 && total < k.limit && len(before[user]) < maxAddresses {
				t.Fatalf("%d were forgotten of %d, with a limit of %d", lost, total, k.limit)
			}
		}
	})
}

// As long as strangers have so few accounts that there is room for all, or
// fewer addresses for each, nobody else is forgotten, however they log in.
func TestKnownIsNotForgottenForStrangers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := newKnown(100)
		honest := rapid.IntRange(1, 30).Draw(t, "honest")
		devices := rapid.IntRange(1, 2).Draw(t, "devices")
		for user := range honest {
			for a := range devices {
				k.add(uint64(user), uint64(a))
			}
		}
		// With more accounts than that, each of them has as few as the others.
		accounts := rapid.IntRange(1, (100-honest*devices)/devices).Draw(t, "accounts")
		for i := range uint64(rapid.IntRange(1, 2000).Draw(t, "logins")) {
			k.add(1000+rapid.Uint64Range(1, uint64(accounts)).Draw(t, "account"), i)
		}
		for user := range honest {
			for a := range devices {
				if !k.has(uint64(user), uint64(a)) {
					t.Fatalf("user %d is not known any more from %d", user, a)
				}
			}
		}
	})
}

func TestKnownAddressesOfAUser(t *testing.T) {
	k := newKnown(100)
	for address := range uint64(50) {
		k.add(1, address)
	}
	k.add(1, 34)
	for address := range uint64(50) {
		if want := address >= 34; k.has(1, address) != want {
			t.Errorf("address %d of 50 is known %v, want %v", address, !want, want)
		}
	}
	k.add(1, 50)
	if k.has(1, 35) || !k.has(1, 34) {
		t.Error("it is not the oldest address that has made room")
	}
}

// A user who logs in all the time is the last to be forgotten.
func TestKnownForgetsTheOldest(t *testing.T) {
	k := newKnown(100)
	for i := range uint64(10_000) {
		k.add(1, 7)
		k.add(i+2, 7)
	}
	if !k.has(1, 7) || !k.has(10_001, 7) || !k.has(9_903, 7) || k.has(9_902, 7) {
		t.Error("it is not those who logged in last that are known")
	}
}

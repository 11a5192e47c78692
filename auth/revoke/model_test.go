package revoke_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
)

// model is a store that keeps each revocation by itself and looks at all of
// them in each check.
type model struct{ held []revoke.Revocation }

// key is what two revocations have in common if they become one.
func key(r revoke.Revocation) revoke.Revocation {
	if r.Claim == "sub" {
		r.Claim = ""
	}
	return revoke.Revocation{JTI: r.JTI, Session: r.Session, Subject: r.Subject, Claim: r.Claim}
}

// add reports whether there is room.
func (m *model) add(r revoke.Revocation, limit int, now time.Time) bool {
	r, _ = r.Normalize(now)
	if passed(r, now) {
		return true
	}
	m.held = slices.DeleteFunc(m.held, func(r revoke.Revocation) bool { return m.dead(r, now) })
	if m.count(now) >= limit && !slices.ContainsFunc(m.held, func(h revoke.Revocation) bool { return key(h) == key(r) }) {
		return false
	}
	m.held = append(m.held, r)
	return true
}

// passed reports whether the last second of a revocation is over.
func passed(r revoke.Revocation, now time.Time) bool {
	return !r.Until.IsZero() && now.Unix() > r.Until.Unix()
}

// dead reports whether a revocation and all those of the same thing have passed.
func (m *model) dead(r revoke.Revocation, now time.Time) bool {
	for _, h := range m.held {
		if key(h) == key(r) && !passed(h, now) {
			return false
		}
	}
	return true
}

// has reports whether there is one of the same thing.
func (m *model) has(r revoke.Revocation, now time.Time) bool {
	return slices.ContainsFunc(m.held, func(h revoke.Revocation) bool { return key(h) == key(r) && !passed(h, now) })
}

func (m *model) count(now time.Time) int {
	keys := map[revoke.Revocation]bool{}
	for _, r := range m.held {
		if !m.dead(r, now) {
			keys[key(r)] = true
		}
	}
	return len(keys)
}

func (m *model) check(claims map[string]any, now time.Time) (revoked, disconnect bool) {
	for _, r := range m.held {
		claim, value := "jti", r.JTI
		switch {
		case r.Session != "":
			claim, value = "sid", r.Session
		case r.Claim != "":
			claim, value = r.Claim, r.Subject
		case r.Subject != "":
			claim, value = "sub", r.Subject
		}
		login, dated := claims["auth_time"].(float64)
		if !dated {
			login, dated = claims["iat"].(float64)
		}
		// The drawn times have halves, which a double can hold.
		old := r.Subject == "" || !dated || login <= float64(r.Before.UnixNano())/1e9
		if claims[claim] == value && old && !m.dead(r, now) {
			revoked = true
			disconnect = disconnect || m.disconnects(r)
		}
	}
	return revoked, disconnect
}

// disconnects reports whether r or one of the same thing disconnects.
func (m *model) disconnects(r revoke.Revocation) bool {
	return slices.ContainsFunc(m.held, func(h revoke.Revocation) bool { return key(h) == key(r) && h.Disconnect })
}

// bubble hides Deadline, which must not be called inside a synctest bubble,
// from rapid.
type bubble struct{ *testing.T }

func TestMemoryAgreesWithTheModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(bubble{t}, func(t *rapid.T) {
			const limit = 6
			m, want := revoke.Memory{Limit: limit}, model{}
			value := rapid.SampledFrom([]string{"a", "b", "c"})
			var told, expected int
			m.Watch(func(revoke.Revocation) { told++ })
			t.Repeat(map[string]func(*rapid.T){
				"add": func(t *rapid.T) {
					now := time.Now()
					r := revoke.Revocation{Disconnect: rapid.Bool().Draw(t, "disconnect")}
					switch rapid.IntRange(0, 3).Draw(t, "kind") {
					case 0:
						r.JTI = value.Draw(t, "jti")
					case 1:
						r.Session = value.Draw(t, "sid")
					default:
						r.Subject = value.Draw(t, "subject")
						r.Claim = rapid.SampledFrom([]string{"", "sub", "username"}).Draw(t, "claim")
						if rapid.Bool().Draw(t, "has before") {
							r.Before = now.Add(time.Duration(rapid.IntRange(-5000, 5000).Draw(t, "before")) * time.Millisecond)
						}
					}
					if rapid.IntRange(0, 5).Draw(t, "has until") > 0 {
						r.Until = now.Add(time.Duration(rapid.IntRange(-1500, 10000).Draw(t, "until")) * time.Millisecond)
					}
					n, _ := r.Normalize(now)
					room := m.Room(n, limit)
					switch err := m.Add(t.Context(), r); {
					case !passed(n, now) && err != room:
						t.Fatalf("add %+v: %v; room: %v", r, err, room)
					case want.add(r, limit, now) != (err == nil):
						t.Fatalf("add %+v: %v", r, err)
					case err != nil && !errors.Is(err, revoke.ErrFull):
						t.Fatal(err)
					case err == nil:
						if !passed(n, now) {
							expected++
						}
						if got, ok := m.Held(n); ok != want.has(n, now) || ok && !passed(n, now) && !got.Covers(n) {
							t.Fatalf("%+v is held after %+v: %v", got, n, ok)
						}
					}
				},
				"check": func(t *rapid.T) {
					now := time.Now()
					claims := map[string]any{}
					for _, name := range []string{"jti", "sid", "sub", "username"} {
						if rapid.Bool().Draw(t, "has "+name) {
							claims[name] = value.Draw(t, name)
						}
					}
					if rapid.IntRange(0, 3).Draw(t, "has iat") > 0 {
						claims["iat"] = float64(now.Unix()) + float64(rapid.IntRange(-12, 12).Draw(t, "iat"))/2
					}
					if rapid.Bool().Draw(t, "has auth_time") {
						claims["auth_time"] = float64(now.Unix()) + float64(rapid.IntRange(-12, 12).Draw(t, "auth_time"))/2
					}
					text, _ := json.Marshal(claims)
					token, err := auth.NewToken("signed", text)
					if err != nil {
						t.Fatal(err)
					}
					revoked, disconnect := want.check(claims, now)
					r, got := m.Check(token)
					if got != revoked || got && r.Disconnect != disconnect {
						t.Fatalf("%s: got %+v, %v, want %v with disconnect %v of\n%+v", text, r, got, revoked, disconnect, want.held)
					}
					if got && (!r.Matches(token) || passed(r, now)) {
						t.Fatalf("%s: %+v does not fit", text, r)
					}
				},
				"wait": func(t *rapid.T) {
					time.Sleep(time.Duration(rapid.IntRange(1, 3000).Draw(t, "ms")) * time.Millisecond)
				},
				"": func(t *rapid.T) {
					if told != expected {
						t.Fatalf("watchers received %d, want %d", told, expected)
					}
					if m.Len() > limit || m.Len() != want.count(time.Now()) {
						t.Fatalf("%d are held, want %d", m.Len(), want.count(time.Now()))
					}
				},
			})
		})
	})
}

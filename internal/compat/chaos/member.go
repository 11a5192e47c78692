package main

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/socketcluster-go/socketcluster/internal/compat/chaos/judge"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// token signs a token, as another process with the same key would.
func token(user string, issued, expires time.Time) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"username": user, "iat": issued.Unix(), "exp": expires.Unix(),
	}).SignedString([]byte(authKey))
}

// member is a socket of a user that comes to a channel and leaves it, time and again.
type member struct {
	r                   *round
	name, user, channel string
	rng                 *rand.Rand
}

// The longest times for which members stay and are away. Both are longer than the
// debounce and what it takes to see that a node is dead.
const (
	memberStays = 20 * time.Second
	memberAway  = 14 * time.Second
)

func (m *member) run(ctx context.Context) {
	for pause(ctx, time.Duration(m.rng.Int64N(int64(memberAway)))) == nil {
		now := time.Now()
		text, err := token(m.user, now, now.Add(time.Hour))
		if err != nil {
			m.r.fail(err)
			return
		}
		n := m.r.site.nodes[m.rng.IntN(len(m.r.site.nodes))]
		c, err := dial(ctx, n, text, func(*conn, sctest.Packet) {})
		if err != nil {
			continue
		}
		if c.authenticated { // a node that is cut off takes no token
			m.stay(ctx, c)
		}
		c.close()
	}
}

func (m *member) stay(ctx context.Context, c *conn) {
	// The socket may be there from the question on, also if the answer does not come.
	m.note(judge.In, c)
	defer m.note(judge.Out, c)
	if _, err := c.call(ctx, "#subscribe", map[string]any{"channel": m.channel}, callTimeout); err != nil {
		return
	}
	m.note(judge.In, c)
	over := time.NewTimer(time.Duration(m.rng.Int64N(int64(memberStays))))
	defer over.Stop()
	select {
	case <-over.C:
	case <-c.done:
	case <-ctx.Done():
	}
}

func (m *member) note(kind judge.Kind, c *conn) {
	m.r.diary.add(judge.Event{Kind: kind, Who: m.name, Node: c.node, User: m.user, Channel: m.channel})
}

// The observers ask so often, and wait so long for an answer.
const (
	observeEvery = 300 * time.Millisecond
	observeWait  = 2 * time.Second
)

// observe asks a node again and again who is in the channels.
func (r *round) observe(ctx context.Context, n *node, channels []string) {
	for ctx.Err() == nil {
		c, err := dial(ctx, n, "", func(*conn, sctest.Packet) {})
		if err != nil {
			_ = pause(ctx, observeEvery)
			continue
		}
		for r.ask(ctx, c, channels) && pause(ctx, observeEvery) == nil {
		}
		c.close()
	}
}

func (r *round) ask(ctx context.Context, c *conn, channels []string) bool {
	for _, channel := range channels {
		begun := r.diary.now()
		data, err := c.call(ctx, "online", map[string]string{"channel": channel}, observeWait)
		if err != nil {
			return false
		}
		var users []string
		if err := json.Unmarshal(data, &users); err != nil {
			r.fail(err)
			return false
		}
		r.diary.add(judge.Event{Kind: judge.Online, Node: c.node, Channel: channel, Users: users, Took: r.diary.now() - begun})
	}
	return true
}

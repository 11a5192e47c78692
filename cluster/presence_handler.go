package cluster

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/socketcluster-go/socketcluster"
)

// maxPage is the number of users in an answer of [Presence.Handler].
const maxPage = 1000

type hereRequest struct {
	Channel string `json:"channel"`
	After   string `json:"after"`
	Limit   int    `json:"limit"`
}

type hereAnswer struct {
	Users []hereUser `json:"users"`
	Total int        `json:"total"` // users in the channel
	More  bool       `json:"more"`  // there are users after these
}

type hereUser struct {
	User    string          `json:"user"`
	Sockets int             `json:"sockets"`
	Info    json.RawMessage `json:"info,omitempty"`
}

// Handler returns the handler of a procedure by which clients ask who is in a
// channel:
//
//	srv.Handle("presence", presence.Handler())
//
// The data of a call is {"channel": "room/1"}, with "limit" for another number of
// users than 1,000, which is the maximum, and "after" for those after a user.
// Users are sorted by name. The answer is
//
//	{"users": [{"user": "alice", "sockets": 2, "info": …}], "total": 1, "more": false}
//
// The client needs the right that PresenceOptions.May gives, or gets its error.
// By default, that is a PresenceError for clients that are not subscribed to the
// channel. IDs of sockets are not shown to clients.
func (p *Presence) Handler() socketcluster.Handler {
	return socketcluster.Func(func(ctx context.Context, in hereRequest) (hereAnswer, error) {
		s := socketcluster.FromContext(ctx)
		if s == nil {
			return hereAnswer{}, socketcluster.Errorf("PresenceError", "Only sockets can ask who is there")
		}
		if in.Limit < 0 || in.Limit > maxPage {
			return hereAnswer{}, socketcluster.Errorf("InvalidArgumentsError", "limit must be from 1 to %d", maxPage)
		}
		if err := p.may(ctx, s, in.Channel); err != nil {
			return hereAnswer{}, err
		}
		if in.Limit == 0 {
			in.Limit = maxPage
		}
		return p.page(in), nil
	})
}

// page returns the users of a channel that a client has asked for.
func (p *Presence) page(in hereRequest) hereAnswer {
	p.mu.Lock()
	total := p.state.NumUsers(in.Channel)
	all := make([]hereUser, 0, total)
	for name, u := range p.state.Users(in.Channel) {
		if name > in.After || in.After == "" {
			all = append(all, hereUser{name, len(u.Sockets), u.Info})
		}
	}
	p.mu.Unlock()
	slices.SortFunc(all, func(a, b hereUser) int { return strings.Compare(a.User, b.User) })
	more := len(all) > in.Limit
	if more {
		all = slices.Clone(all[:in.Limit])
	}
	return hereAnswer{all, total, more}
}

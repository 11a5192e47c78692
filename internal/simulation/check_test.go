package simulation_test

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gobwas/ws"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// checker finds what must not have happened in the journal of a world.
type checker struct {
	*simWorld
	conns  map[int]*connLog
	all    []*connLog
	faults []string
}

// connLog is what is known of one connection and its socket.
type connLog struct {
	number   int
	link     *simLink
	opened   stamp // the answer of the handshake was written
	facts    []fact
	verdicts []verdict // of subscriptions
	byNumber map[int][]verdict
	present  map[*auth.Token]stamp // by when it was the token of the socket
	dead     map[*auth.Token]stamp // by when it was so no more
	possible map[*auth.Token]stamp // from when it may have been so
	written  []writtenPub
	removed  []stamp // #removeAuthToken
	kicks    []kick  // as they were written
}

// writtenPub is a publication on its way to a client.
type writtenPub struct {
	pub   *simPub
	begin stamp // of the Write that has its first byte
}

func (c *checker) faultf(format string, args ...any) {
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
}

// check returns what is wrong, with the rule that is broken.
func (w *simWorld) check() []string {
	c := &checker{simWorld: w, conns: make(map[int]*connLog), faults: w.failures}
	for _, l := range w.links.list() {
		log := &connLog{
			number: l.tap.number, link: l, opened: never, byNumber: make(map[int][]verdict),
			present: make(map[*auth.Token]stamp), dead: make(map[*auth.Token]stamp), possible: make(map[*auth.Token]stamp),
		}
		c.conns[log.number] = log
		c.all = append(c.all, log)
	}
	for _, f := range w.facts {
		if f.how == "SetAuthToken" && c.revokedBefore(f.token, f.end) {
			continue // it may have been refused
		}
		c.conns[f.conn].facts = append(c.conns[f.conn].facts, f)
	}
	for _, v := range w.verdicts {
		log := c.conns[v.conn]
		switch {
		case v.kind == "subscribe":
			log.verdicts = append(log.verdicts, v)
		case v.kind != "authenticate":
			log.byNumber[v.n] = append(log.byNumber[v.n], v)
		case v.allow:
			log.mayHave(v.token, v.end)
		}
	}
	for _, log := range c.all {
		c.readWrites(log)
		c.follow(log)
	}
	for _, log := range c.all {
		c.checkWritten(log)
		c.checkArrived(log)
		c.checkKicks(log)
		c.checkClosed(log)
	}
	c.checkHandled()
	c.checkSigned()
	c.checkBlocked()
	c.checkOverruled()
	c.checkRevived()
	c.checkDisconnected()
	c.checkEnded()
	return c.faults
}

func (c *checker) revokedBefore(token *auth.Token, at stamp) bool {
	return slices.ContainsFunc(c.revokes, func(r revoked) bool { return r.begin.before(at) && r.what.Matches(token) })
}

// readWrites reads the frames that a socket has written.
func (c *checker) readWrites(log *connLog) {
	tap := log.link.tap
	head := bytes.Index(tap.data, []byte("\r\n\r\n"))
	if head < 0 {
		return
	}
	at, write := head+4, 0
	frames := sctest.Conn{In: bufio.NewReader(bytes.NewReader(tap.data[at:]))}
	for at < len(tap.data) {
		f, err := frames.ReadFrame()
		if err != nil {
			return // cut off
		}
		for write+1 < len(tap.writes) && tap.writes[write+1].from <= at {
			write++
		}
		begin := tap.writes[write].begin
		at += ws.HeaderSize(f.Header) + len(f.Payload)
		if f.Header.OpCode != ws.OpText {
			continue
		}
		for _, p := range simPacketsOf(f.Payload) {
			switch {
			case p.RID != 0 && log.opened == never:
				log.opened = begin
			case p.Event == "#publish":
				d := channelOf(&p)
				pub := c.pubs[d.Data.N]
				if pub == nil || pub.channel != d.Channel {
					c.faultf("connection %d was written publication %d, which the broker does not know", log.number, d.Data.N)
					continue
				}
				log.written = append(log.written, writtenPub{pub, begin})
			case p.Event == "#setAuthToken":
				token := c.signed[tokenText(&p)]
				if token == nil {
					continue // the text that the client itself has sent
				}
				log.facts = append(log.facts, fact{conn: log.number, token: token, begin: c.tokens[token].born, end: begin, how: "#setAuthToken"})
			case p.Event == "#kickOut":
				log.kicks = append(log.kicks, kick{log.number, channelOf(&p).Channel, begin})
			case p.Event == "#removeAuthToken":
				log.removed = append(log.removed, begin)
			}
		}
	}
}

func (log *connLog) mayHave(token *auth.Token, from stamp) {
	if at, ok := log.possible[token]; token != nil && (!ok || from.before(at)) {
		log.possible[token] = from
	}
}

// follow finds out which token the socket had when, as far as that is certain.
func (c *checker) follow(log *connLog) {
	slices.SortFunc(log.facts, func(a, b fact) int { return cmp.Compare(a.end.seq, b.end.seq) })
	for _, f := range log.facts {
		if f.token == nil {
			continue
		}
		if _, ok := log.present[f.token]; !ok {
			log.present[f.token] = f.end
		}
		log.mayHave(f.token, f.begin)
	}
	for token := range log.possible {
		end := never
		dies := func(at stamp) {
			if at.before(end) {
				end = at
			}
		}
		if since, ok := log.present[token]; ok {
			for _, f := range log.facts {
				if f.token != token && since.before(f.begin) {
					dies(f.end)
				}
			}
			for _, u := range c.updates {
				if log.opened.before(u.begin) && since.before(u.begin) && c.tokens[token].claims.Subject == u.subject {
					dies(u.end)
				}
			}
		}
		for _, r := range c.revokes {
			if r.what.Matches(token) {
				dies(r.end)
			}
		}
		log.dead[token] = end
	}
}

// expired reports whether a token has expired at a time of the journal.
func (c *checker) expired(token *auth.Token, at time.Duration) bool {
	return token.Expired(c.began.Add(at))
}

// expirySlack is how late a socket may lose an expired token: a tick of the
// timing wheel.
const expirySlack = 10 * time.Millisecond

// checkWritten: the rights to what was written.
func (c *checker) checkWritten(log *connLog) {
	last := make(map[string]int) // of a publisher, on a channel
	for _, w := range log.written {
		line := fmt.Sprint(w.pub.publisher, w.pub.channel)
		if last[line] >= w.pub.k {
			c.faultf("order: connection %d was written publication %d (%d of publisher %d) on %s after number %d of it\n%s", log.number, w.pub.n, w.pub.k, w.pub.publisher, w.pub.channel, last[line], c.story(log, w))
		}
		last[line] = w.pub.k
		if !c.hadRight(log, w) {
			c.faultf("right: connection %d was written publication %d on %s at %v, when its socket had no right to the channel\n%s", log.number, w.pub.n, w.pub.channel, w.begin, c.story(log, w))
		}
		if !c.approved(log, w) {
			c.faultf("approval: connection %d was written publication %d on %s at %v, published at %v, unapproved since a change of the token\n%s",
				log.number, w.pub.n, w.pub.channel, w.begin, w.pub.at, c.story(log, w))
		}
	}
}

// hadRight reports whether the socket may have had a token with the right when the
// Write began.
func (c *checker) hadRight(log *connLog, w writtenPub) bool {
	if may(nil, w.pub.channel) {
		return true
	}
	for token, from := range log.possible {
		if from.before(w.begin) && may(&c.tokens[token].claims, w.pub.channel) && !log.dead[token].wellBefore(w.begin) &&
			!c.expired(token, w.begin.at-expirySlack) {
			return true
		}
	}
	return false
}

// approved reports whether middleware has approved the subscription under a token
// that may have been the socket's when the publication was made, or later.
func (c *checker) approved(log *connLog, w writtenPub) bool {
	for _, v := range log.verdicts {
		if v.allow && v.channel == w.pub.channel && v.end.before(w.begin) &&
			(v.token == nil || !log.dead[v.token].before(w.pub.at) && !c.expired(v.token, w.pub.at.at)) {
			return true
		}
	}
	return false
}

// checkArrived: who had the right all along got everything, once.
func (c *checker) checkArrived(log *connLog) {
	l := log.link
	if !l.open || l.deaf {
		return
	}
	got := make(map[int]bool)
	for _, g := range l.got {
		if got[g.n] {
			c.faultf("once: client %d got publication %d twice", l.client.index, g.n)
		}
		got[g.n] = true
	}
	for _, sub := range l.subs {
		if sub.waits || !c.keptRight(log, sub) {
			continue
		}
		for _, pub := range c.pubs {
			if pub.ok && pub.at.before(c.rest) && pub.channel == sub.channel && sub.since.before(pub.at) && !got[pub.n] {
				c.faultf("arrival: client %d on connection %d, subscribed to %s since %v, did not get publication %d of %v\n%s", l.client.index, log.number, sub.channel, sub.since,
					pub.n, pub.at, c.story(log, writtenPub{pub, pub.at}))
				break
			}
		}
	}
}

// keptRight reports whether it is certain that a socket had the right to a channel
// all along.
func (c *checker) keptRight(log *connLog, sub *simSub) bool {
	if may(nil, sub.channel) {
		return true
	}
	for _, v := range log.verdicts {
		if v.channel == sub.channel && !v.allow && sub.since.before(v.end) {
			return false
		}
	}
	for _, r := range log.removed {
		if sub.since.before(r) {
			return false
		}
	}
	had := false
	for _, f := range log.facts {
		right := f.token != nil && may(&c.tokens[f.token].claims, sub.channel)
		if f.end.before(sub.since) {
			had = right
		} else if !right {
			return false
		}
	}
	for _, at := range log.link.logouts {
		if sub.since.before(at) {
			return false
		}
	}
	return had
}

// checkKicks: nobody is kicked out of a channel but by a verdict of middleware
// that was about the token of the socket, by a deadline, or by the server.
func (c *checker) checkKicks(log *connLog) {
	for _, k := range log.kicks {
		reason := k.channel == stuck || slices.ContainsFunc(c.kicks, func(o kick) bool {
			return o.conn == log.number && o.channel == k.channel && o.at.before(k.at)
		}) || slices.ContainsFunc(log.verdicts, func(v verdict) bool {
			return !v.allow && v.channel == k.channel && v.end.before(k.at) && (v.token == nil || !log.dead[v.token].wellBefore(v.end))
		})
		if !reason {
			c.faultf("kicked: connection %d was kicked out of %s at %v, without a reason\n%s", log.number, k.channel, k.at, c.story(log, writtenPub{&simPub{channel: k.channel}, k.at}))
		}
	}
}

// checkClosed: no connection is closed without a reason.
func (c *checker) checkClosed(log *connLog) {
	l := log.link
	if l.left || l.deaf || l.open {
		return
	}
	for _, r := range c.revokes {
		for token := range log.possible {
			if r.what.Disconnect && r.what.Matches(token) {
				return
			}
		}
	}
	c.faultf("closed: connection %d was closed with %d (%v), without a reason", log.number, l.code, l.err)
}

// letIn reports whether middleware has let in a call, transmission or publication
// by a token that may still have been the socket's.
func (c *checker) letIn(conn, n int, at stamp) bool {
	log := c.conns[conn]
	for _, v := range log.byNumber[n] {
		if v.allow && v.end.before(at) && (v.token == nil || !log.dead[v.token].wellBefore(at) && !c.expired(v.token, at.at)) {
			return true
		}
	}
	return false
}

// checkHandled: nothing was accepted from a socket without the right.
func (c *checker) checkHandled() {
	for _, s := range c.starts {
		if !c.letIn(s.conn, s.n, s.begin) {
			c.faultf("inbound: connection %d had its call or transmission %d of %s handled at %v\n%s", s.conn, s.n, s.how, s.begin, c.packetStory(s.conn, s.n))
		}
	}
	for _, p := range c.pubs {
		if p.publisher >= 100 && !c.letIn(p.publisher/100, p.n, p.at) {
			c.faultf("inbound: connection %d had its publication %d given to the broker at %v\n%s", p.publisher/100, p.n, p.at, c.packetStory(p.publisher/100, p.n))
		}
	}
}

// verifySlack is more than what the store of revocations takes to answer, which
// the server asks before it signs.
const verifySlack = 10 * time.Millisecond

// checkSigned: nothing was signed from a token that is good no more.
func (c *checker) checkSigned() {
	for _, r := range c.resigned {
		good := false
		why := ""
		for token, known := range c.tokens {
			if known.claims.Login != r.login || !known.born.before(r.begin) {
				continue
			}
			switch {
			case !known.own:
				why = "its token is of another issuer"
			case slices.ContainsFunc(c.rotations, func(o rotated) bool { return o.key == token.KeyID() && r.begin.at-o.end.at > verifySlack }):
				why = "the key of its token was rotated away"
			case slices.ContainsFunc(c.revokes, func(o revoked) bool { return r.begin.at-o.end.at > verifySlack && o.what.Matches(token) }):
				why = "its token was revoked"
			case c.expired(token, r.begin.at-verifySlack):
				why = "its token has expired"
			default:
				good = true
			}
		}
		if !good {
			c.faultf("signed: claims of login %d were signed again at %v, although %s", r.login, r.begin, cmp.Or(why, "there is no token of it"))
		}
		exp, _ := r.token.ExpiresAt()
		if login, ok := r.token.AuthTime(); c.maxAge > 0 && !r.handler && c.wasSomebodys(r.token) && (!ok || exp.Sub(login) > c.maxAge) {
			c.faultf("signed: login %d of %v was given until %v at %v, longer than %v", r.login, login, exp, r.begin, c.maxAge)
		}
	}
}

// checkBlocked: a token that middleware has blocked was never a socket's.
func (c *checker) checkBlocked() {
	for _, v := range c.verdicts {
		if v.kind != "authenticate" || v.allow {
			continue
		}
		for _, f := range c.conns[v.conn].facts {
			if f.token == v.token {
				c.faultf("blocked: the token that middleware has blocked on connection %d at %v was the socket's by %v, as seen by %s", v.conn, v.end, f.end, f.how)
				break
			}
		}
	}
}

// checkOverruled: what the server decides while middleware looks at a token of the
// client goes before that.
func (c *checker) checkOverruled() {
	for _, v := range c.verdicts {
		if v.kind != "authenticate" || !v.allow || !c.conns[v.conn].opened.before(v.called) {
			continue
		}
		for _, f := range c.conns[v.conn].facts {
			if f.decision && v.called.before(f.begin) && f.end.before(v.end) && c.conns[v.conn].wasSeen(v.token) {
				c.faultf("overruled: connection %d got the token that middleware has allowed from %v to %v, after %s from %v to %v", v.conn, v.called, v.end, f.how, f.begin, f.end)
			}
		}
	}
}

// checkRevived: a login or logout is not undone by claims that were signed again
// before it.
func (c *checker) checkRevived() {
	for _, r := range c.resigned {
		for _, log := range c.all {
			for _, f := range log.facts {
				if !f.looked || f.token != r.token {
					continue
				}
				for _, d := range log.facts {
					if d.decision && c.tokens[r.token].born.before(d.begin) && d.end.before(f.begin) {
						c.faultf("revived: connection %d had %s at %v, after %s from %v to %v", log.number, c.name(f.token), f.begin, d.how, d.begin, d.end)
					}
				}
			}
		}
	}
}

// wasSeen reports whether somebody has seen a token on the socket.
func (log *connLog) wasSeen(token *auth.Token) bool {
	return slices.ContainsFunc(log.facts, func(f fact) bool { return f.looked && f.token == token })
}

// checkDisconnected: a socket that a revocation disconnects handles nothing
// after that.
func (c *checker) checkDisconnected() {
	for _, r := range c.revokes {
		if !r.what.Disconnect {
			continue
		}
		for _, log := range c.all {
			if !c.disconnects(r, log) {
				continue
			}
			for _, s := range c.starts {
				if s.conn == log.number && r.end.wellBefore(s.begin) {
					c.faultf("disconnect: connection %d had %d of %s handled at %v, after it was revoked at %v", s.conn, s.n, s.how, s.begin, r.end)
				}
			}
			for _, v := range c.verdicts {
				if v.conn == log.number && r.end.wellBefore(v.called) {
					c.faultf("disconnect: middleware was asked about %s of connection %d at %v, after it was revoked at %v", v.kind, v.conn, v.called, r.end)
				}
			}
		}
	}
}

// checkEnded: a token that was revoked, or has expired, or whose claims were
// changed since, is no socket's.
func (c *checker) checkEnded() {
	for _, log := range c.all {
		seen := make(map[*auth.Token]bool)
		for _, f := range log.facts {
			if f.token == nil || !f.looked || seen[f.token] {
				continue
			}
			why := ""
			for _, r := range c.revokes {
				if r.end.before(f.begin) && r.what.Matches(f.token) {
					why = fmt.Sprintf("it was revoked at %v", r.end)
				}
			}
			if c.expired(f.token, f.begin.at-expirySlack) {
				why = "it had expired"
			}
			if u := c.outdated(f.token); u.before(f.begin) {
				why = fmt.Sprintf("its claims were changed at %v", u)
			}
			if why != "" {
				seen[f.token] = true
				c.faultf("ended: connection %d had a token at %v, as seen by %s, although %s: %s\n%s", log.number, f.begin, f.how, why, c.name(f.token), c.story(log, writtenPub{&simPub{}, f.end}))
			}
		}
	}
}

// outdated is when UpdateClaims had ended a token, because it has replaced a
// younger one of the same login.
func (c *checker) outdated(token *auth.Token) stamp {
	known, end := c.texts[token.Signed()], never
	for _, u := range c.updates {
		if !known.born.before(u.begin) || !u.end.before(end) {
			continue
		}
		for younger, y := range c.tokens {
			if y.update == u.number && y.claims.Login == known.claims.Login && c.wasSomebodys(younger) {
				end = u.end
			}
		}
	}
	return end
}

func (c *checker) wasSomebodys(token *auth.Token) bool {
	return slices.ContainsFunc(c.all, func(log *connLog) bool { return log.present[token] != stamp{} })
}

// disconnects reports whether it is certain that a revocation is about a socket.
func (c *checker) disconnects(r revoked, log *connLog) bool {
	var last *fact
	for i, f := range log.facts {
		if f.end.before(r.begin) {
			last = &log.facts[i]
		}
	}
	if last == nil || last.token == nil || !r.what.Matches(last.token) || c.expired(last.token, r.end.at) {
		return false
	}
	during := func(begin, end stamp) bool { return begin.before(r.end) && last.begin.before(end) }
	for _, f := range log.facts {
		if f.token != last.token && during(f.begin, f.end) {
			return false
		}
	}
	for _, o := range c.changes {
		if o.conn == log.number && during(o.begin, o.end) {
			return false
		}
	}
	for _, o := range c.revokes {
		if o != r && during(o.begin, o.end) {
			return false
		}
	}
	return !slices.ContainsFunc(c.updates, func(o updated) bool { return during(o.begin, o.end) })
}

// atRest compares who the clients think they are at the end with who they are.
func (w *simWorld) atRest() {
	differ := make(map[*simLink]string)
	for try := range 4 { // a renewal may be on its way
		tokens := make(map[int]string)
		for s := range w.srv.Clients() {
			w.look(s, "the end")
			tokens[connOf(s)] = s.AuthToken().Signed()
		}
		for _, l := range w.links.list() {
			l.mu.Lock()
			l.open = !l.left && !l.dead
			token, ok := tokens[l.tap.number]
			switch {
			case !ok || !l.open || l.deaf || token == l.token || l.crossed():
				delete(differ, l)
			case try == 0 || differ[l] != "":
				differ[l] = fmt.Sprintf("identity: client %d on connection %d ends as %s, and its socket as %s\n%v", l.client.index, l.tap.number, w.whose(l.token), w.whose(token), l.notes)
			}
			l.mu.Unlock()
		}
		time.Sleep(60 * time.Millisecond) // more than a batch takes
	}
	w.rest = w.now()
	for _, text := range differ {
		w.failf("%s", text)
	}
}

// crossed reports whether a logout of the client and a login may have crossed each
// other on their way, of which neither side can know. mu must be held.
func (l *simLink) crossed() bool {
	for _, out := range l.logouts {
		for _, in := range l.logins {
			if out.before(in) && in.at-out.at < time.Second {
				return true
			}
		}
	}
	return false
}

// whose names the owner of a token.
func (w *simWorld) whose(signed string) (name string) {
	if signed == "" {
		return "nobody"
	}
	w.note(func() {
		c := w.texts[signed].claims
		name = fmt.Sprintf("%s (login %d)", c.Subject, c.Login)
	})
	return name
}

func (c *checker) name(token *auth.Token) string {
	if token == nil {
		return "no token"
	}
	k := c.tokens[token]
	return fmt.Sprintf("token of login %d %v born %v key %s", k.claims.Login, k.claims.Channels, k.born, token.KeyID())
}

// story describes what has led to a publication on a connection.
func (c *checker) story(log *connLog, w writtenPub) string {
	type line struct {
		at   int64
		text string
	}
	var lines []line
	for i, f := range log.facts {
		if i == 0 || i+1 == len(log.facts) || f.token != log.facts[i-1].token || f.token != log.facts[i+1].token {
			lines = append(lines, line{f.end.seq, fmt.Sprintf("%v-%v %s by %s", f.begin, f.end, c.name(f.token), f.how)})
		}
	}
	for token, at := range log.dead {
		if at != never {
			lines = append(lines, line{at.seq, fmt.Sprintf("%v gone: %s", at, c.name(token))})
		}
	}
	for _, v := range log.verdicts {
		if v.channel == w.pub.channel {
			lines = append(lines, line{v.end.seq, fmt.Sprintf("%v-%v %s: allowed %t by %s", v.begin, v.end, v.channel, v.allow, c.name(v.token))})
		}
	}
	for _, r := range c.revokes {
		lines = append(lines, line{r.end.seq, fmt.Sprintf("%v-%v revoked %+v", r.begin, r.end, r.what)})
	}
	for _, n := range log.link.notes {
		lines = append(lines, line{n.at.seq, fmt.Sprintf("%v client: %s", n.at, n.text)})
	}
	lines = append(lines, line{w.pub.at.seq, fmt.Sprintf("%v published %d", w.pub.at, w.pub.n)}, line{w.begin.seq, fmt.Sprintf("%v written", w.begin)})
	slices.SortFunc(lines, func(a, b line) int { return cmp.Compare(a.at, b.at) })
	var text strings.Builder
	for _, l := range lines {
		if l.at <= w.begin.seq+50 {
			fmt.Fprintf(&text, "    %s\n", l.text)
		}
	}
	return text.String()
}

// packetStory describes the decisions of middleware about a packet.
func (c *checker) packetStory(conn, n int) string {
	var text strings.Builder
	log := c.conns[conn]
	for _, v := range log.byNumber[n] {
		fmt.Fprintf(&text, "    %v-%v allowed %t by %s", v.begin, v.end, v.allow, c.name(v.token))
		if v.token != nil {
			fmt.Fprintf(&text, ", gone by %v", log.dead[v.token])
		}
		text.WriteString("\n")
	}
	for _, n := range log.link.notes {
		fmt.Fprintf(&text, "    %v client: %s\n", n.at, n.text)
	}
	for _, r := range c.revokes {
		fmt.Fprintf(&text, "    %v-%v revoked %+v\n", r.begin, r.end, r.what)
	}
	for _, u := range c.updates {
		fmt.Fprintf(&text, "    %v-%v updated %s\n", u.begin, u.end, u.subject)
	}
	return text.String()
}

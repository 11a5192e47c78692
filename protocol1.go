package socketcluster

import (
	"bytes"
	"fmt"
	"net/http"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/ws"
	"github.com/socketcluster-go/socketcluster/wire"
)

// This file has the differences for clients of version 1. They read the details
// of a refused handshake or token from the data beside the error, and send the
// reason for leaving in a separate packet. A call and a transmission of one
// name are the same event for them. With a codec, their pings and pongs have
// two forms.

// versionAt returns the version of the protocol at a path. ok is false if the
// path is not served.
func (srv *Server) versionAt(path string) (v wire.Version, ok bool) {
	switch path {
	case srv.cfg.Path:
		return srv.cfg.ProtocolVersion, true
	case srv.cfg.Protocol1Path:
		return wire.Version1, true
	}
	return 0, false
}

// Protocol1 returns a handler that serves version 1 at Config.Path. Use it on a
// listener of its own: some clients of v14 and before can use another port, but
// no other path. Their sockets belong to this server. Config.Protocol1Path is
// simpler if a path is enough.
func (srv *Server) Protocol1() http.Handler {
	at := func(path string) (wire.Version, bool) { return wire.Version1, path == srv.cfg.Path }
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { srv.upgrade(w, r, at) })
}

// rejectionData returns the data beside the error that refuses a handshake. A
// client of version 1 closes with that code, which determines whether it
// connects again.
func (s *Socket) rejectionData(code wire.CloseCode) []byte {
	if s.version != wire.Version1 {
		return nil
	}
	return fmt.Appendf(nil, `{"code":%d}`, int(code))
}

// unauthenticatedData returns the data beside the error that refuses a token. A
// client of version 1 passes it to the application.
func (s *Socket) unauthenticatedData(err *wire.Error) []byte {
	if s.version != wire.Version1 {
		return nil
	}
	return authStatus(err)
}

// authStatus returns the data which reports that a token has not been accepted.
func authStatus(err *wire.Error) []byte {
	return append(err.AppendJSON([]byte(`{"isAuthenticated":false,"authError":`)), '}')
}

// eventDisconnect has the reason why a client of version 1 disconnects. It
// comes before the close frame, which has only the code.
const eventDisconnect = "#disconnect"

// disconnects closes the socket if a message is the disconnect event, as a
// transmission or as a call: clients up to v5.0 send everything as calls. It
// checks messages when they are read, because in the inbox the close frame
// would overtake them. Earlier messages are handled first, see finishInbox.
func (s *Socket) disconnects(msg ws.Message) bool {
	if !bytes.Contains(msg.Data, []byte(eventDisconnect)) || s.State() != Open {
		return false
	}
	packets, err := s.decode(msg.Data, msg.Binary)
	if err != nil {
		return false
	}
	d := decoders.Get().(*wire.Decoder)
	defer decoders.Put(d)
	if d.Reset(packets, s.wireLimits()) != nil {
		return false
	}
	var p wire.Packet
	for d.Next(&p) {
		if (p.Kind == wire.KindTransmit || p.Kind == wire.KindInvoke) && string(p.Event) == eventDisconnect {
			s.stats.processed.Add(1)
			s.sendCorked(false) // as it waits for the inbox
			s.disconnectAs(p.Data)
			return true
		}
	}
	return false
}

// disconnectAs closes the socket with the code and reason from the client. If
// the code must not be sent, its close frame closes the socket.
func (s *Socket) disconnectAs(data []byte) {
	var why struct {
		Code wire.CloseCode `json:"code"`
		Data any            `json:"data"`
	}
	if wire.Unmarshal(data, &why) != nil || !why.Code.Sendable() {
		return
	}
	reason, ok := why.Data.(string)
	if !ok && why.Data != nil {
		text, _ := wire.Marshal(why.Data)
		reason = string(text)
	}
	reason = wire.TruncateReason(reason)
	s.finishInbox(why.Code, reason)
	s.disconnect(why.Code, "", reason)
}

// handledAsCall reports whether a packet is for a procedure, and not for a
// receiver. In version 2 the packet itself states this. In version 1 it only
// states whether an answer is expected; there it goes to the handler with its
// name, and to one of its own kind if there are both (QK-55). The middleware
// gets the action of the kind that is chosen here, and the kind does not change
// afterwards, so that no packet reaches a handler past the guard of its name.
func (s *Socket) handledAsCall(p *wire.Packet, isCall bool) bool {
	if s.version != wire.Version1 {
		return isCall
	}
	name, h := string(p.Event), &s.srv.handlers
	procedure, receiver := h.calls.Has(name), h.transmissions.Has(name)
	s.mu.Lock()
	procedure = procedure || len(s.loops(queueName{ofCalls, name})) > 0
	receiver = receiver || len(s.loops(queueName{ofTransmissions, name})) > 0
	s.mu.Unlock()
	if !procedure && !receiver {
		procedure, receiver = h.calls.HasDefault(), h.transmissions.HasDefault()
	}
	if procedure == receiver { // both exist, or neither
		return isCall
	}
	return procedure
}

// respondTo answers a packet if it has a cid: with an error, or without data,
// which confirms that a receiver has it.
func (s *Socket) respondTo(p *wire.Packet, failure *wire.Error) {
	if p.Kind == wire.KindInvoke {
		s.respond(p.ID, nil, failure)
	}
}

// parseSubscribe reads the data of #subscribe. Clients up to v3 send only the
// name of the channel (QK-57).
func (s *Socket) parseSubscribe(data []byte) (wire.Subscribe, bool) {
	req, ok := wire.ParseSubscribe(data)
	if ok || s.version != wire.Version1 {
		return req, ok
	}
	channel, ok := wire.ParseString(data)
	return wire.Subscribe{Channel: channel, Options: []byte("{}")}, ok
}

// With a codec, clients of v5.1 to v14 read pings as messages of the codec, as
// socketcluster-server 14 sends them, and fail if they get one as plain text.
// Older clients, and later ones that are set to version 1, read only plain
// pings, and take a coded one for a raw message, which is harmless (QK-56). No
// client states its kind. So the first pings are coded, and the first pong
// determines the form. A client has Timeouts.Ping minus Timeouts.PingInterval
// to answer the first ping. If no pong comes within half of that, a plain ping
// is sent at once, because the next one may come too late. Later pings are
// plain too, unless a coded pong arrives.
type pingForm uint8

const (
	pingsUnknown pingForm = iota // no pong has arrived
	pingsCoded
	pingsPlain
)

// codedPing has a ping of version 1 as a frame, and its pong, in the form of
// the codec. Both are nil if there is no codec, or if it has no form for them.
type codedPing struct{ ping, pong []byte }

func (srv *Server) newCodedPing() codedPing {
	if srv.cfg.Codec == nil {
		return codedPing{}
	}
	ping, err := srv.sealCoded(wire.AppendString(nil, wire.Version1.Ping()))
	if err != nil {
		return codedPing{}
	}
	pong, err := srv.encode(nil, wire.AppendString(nil, wire.Version1.Pong()))
	if err != nil {
		return codedPing{}
	}
	return codedPing{ping, pong}
}

// plainRetry is the time until the server tries again to switch to plain pings,
// if it is not reading.
const plainRetry = time.Second

// nextPingFrame returns the next ping for the client. mu must be held.
func (s *Socket) nextPingFrame(at moment) []byte {
	plain, coded := s.srv.pings[s.version], s.srv.coded.ping
	if s.version != wire.Version1 || coded == nil || s.turnToPlainPings(at) {
		return plain
	}
	x := s.extend()
	if x.pingForm == pingsPlain {
		return plain
	}
	if x.pingForm == pingsUnknown && x.plainAt == 0 {
		cfg := &s.srv.cfg
		x.plainAt = at.add((cfg.Timeouts.Ping - cfg.Timeouts.PingInterval) / 2)
	}
	return coded
}

// turnToPlainPings ends the coded pings if the client has had its time to
// answer them. It reports whether it has done so. While the server is not
// reading, the pong may wait behind other messages. mu must be held.
func (s *Socket) turnToPlainPings(at moment) bool {
	x := s.ext
	if x == nil || x.plainAt == 0 || at < x.plainAt {
		return false
	}
	if s.pushBack.Load() != 0 {
		x.plainAt = at.add(plainRetry)
		return false
	}
	x.pingForm, x.plainAt = pingsPlain, 0
	return true
}

func (s *Socket) isCodedPong(data []byte) bool {
	coded := s.srv.coded.pong
	return s.version == wire.Version1 && coded != nil && bytes.Equal(data, coded)
}

// learnPingForm records the form of a pong. Only the reading goroutine calls
// it.
func (s *Socket) learnPingForm(pong ws.Message) {
	if s.version != wire.Version1 || s.srv.coded.pong == nil {
		return
	}
	form := pingsPlain
	if s.isCodedPong(pong.Data) {
		form = pingsCoded
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.extend()
	x.pingForm, x.plainAt = form, 0
}

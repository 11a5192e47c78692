package socketcluster

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/claimscan"
)

// AuditKind is what an [AuditEvent] tells of. The application may have kinds
// of its own.
type AuditKind string

const (
	// AuditLogin: the application has given a client a token.
	AuditLogin AuditKind = "login"
	// AuditLoginFailed: the credentials were wrong, or could not be checked.
	AuditLoginFailed AuditKind = "loginFailed"
	// AuditLoginLimited: there were too many attempts; see package login.
	AuditLoginLimited AuditKind = "loginLimited"
	// AuditTokenAccepted: a client has presented a token, in its handshake or
	// later, and is logged in by it.
	AuditTokenAccepted AuditKind = "tokenAccepted"
	// AuditTokenRejected: a client has presented a token that is not good, or
	// that middleware has blocked, or a cookie from a page of another origin.
	// It tells whose token it was if that was verified before.
	AuditTokenRejected AuditKind = "tokenRejected"
	// AuditRenewal: the server has replaced the token of a login by another,
	// to renew it or as the claims have changed.
	AuditRenewal AuditKind = "renewal"
	// AuditLogout: a socket has lost its token, for another reason than those
	// below.
	AuditLogout AuditKind = "logout"
	// AuditExpiry: a socket has lost its token, as it has expired.
	AuditExpiry AuditKind = "expiry"
	// AuditRevocation: with a Socket, it has lost its token, as it was revoked;
	// without one, the revocation itself.
	AuditRevocation AuditKind = "revocation"
)

// AuditEvent: somebody was logged in or out, or not. Only the server emits it.
// It is for the record: [AuditLog] writes it to a log. It never holds a token
// or a password.
//
// The events of one socket come in order. As every event, it holds up its
// socket while it is handled.
type AuditEvent struct {
	Kind    AuditKind
	Time    time.Time
	Socket  *Socket    // nil over HTTP, and for a revocation itself
	Address netip.Addr // of the client; the zero Addr if it is not known

	// User is the claim sub of the token, or username if it has no sub. Of an
	// attempt to log in it is the name that was given, cut to 128 bytes: whoever
	// it was may have put a password there.
	User string

	JTI    string // the claim jti of the token
	SID    string // the claim sid of the token
	Reason string // for people
}

// Audit puts an event of the application's own among those of the server. A
// zero Time is set to the present, and an unset Address to that of the Socket.
func (srv *Server) Audit(e AuditEvent) {
	if !srv.audited() {
		return
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	if e.Socket == nil {
		srv.listeners.call(e, srv.log)
		return
	}
	if !e.Address.IsValid() {
		e.Address = e.Socket.ClientAddr()
	}
	e.Socket.emit(e)
}

// audited tells whether anybody listens: most servers need not find out who a
// token is of.
func (srv *Server) audited() bool { return srv.listeners.has(kindAudit) }

// queueAudit queues the event of a token, which may be nil. mu must be held.
func (s *Socket) queueAudit(kind AuditKind, token *auth.Token, reason string) {
	if !s.srv.audited() {
		return
	}
	e := AuditEvent{
		Kind:    kind,
		Time:    time.Now(),
		Socket:  s,
		Address: s.ClientAddr(),
		Reason:  truncate(reason, s.srv.cfg.Limits.ErrorText),
	}
	e.setClaims(token)
	s.queue(e)
}

// auditRefused tells of an ordinary request whose token was not accepted.
func (srv *Server) auditRefused(r *http.Request, token *auth.Token, err error) {
	if !srv.audited() {
		return
	}
	e := AuditEvent{
		Kind:    AuditTokenRejected,
		Address: srv.ClientAddr(r),
		Reason:  truncate(plainMessage(err), srv.cfg.Limits.ErrorText),
	}
	e.setClaims(token)
	srv.Audit(e)
}

// setClaims copies what tells who a token is of, and which it is. token may be
// nil.
func (e *AuditEvent) setClaims(token *auth.Token) {
	if token == nil {
		return
	}
	var username string
	s := claimscan.Scan(token.Payload())
	for name, value := range s.Members() {
		var field *string
		switch string(name) {
		case "sub":
			field = &e.User
		case "username":
			field = &username
		case "jti":
			field = &e.JTI
		case "sid":
			field = &e.SID
		default:
			continue
		}
		text, _ := claimscan.TextOf(value)
		*field = string(text)
	}
	e.User = cmp.Or(e.User, username)
}

// AuditLog returns a handler for [On] that writes each event as one record
// with the message "audit". Failures, limits and rejected tokens are at level
// Warn, all else at Info. What is empty is left out. A nil log is
// [slog.Default].
func AuditLog(log *slog.Logger) func(AuditEvent) {
	if log == nil {
		log = slog.Default()
	}
	return func(e AuditEvent) {
		level := slog.LevelInfo
		switch e.Kind {
		case AuditLoginFailed, AuditLoginLimited, AuditTokenRejected:
			level = slog.LevelWarn
		}
		attrs := make([]slog.Attr, 0, 8)
		add := func(key, value string) {
			if value != "" {
				attrs = append(attrs, slog.String(key, value))
			}
		}
		add("kind", string(e.Kind))
		attrs = append(attrs, slog.Time("at", e.Time))
		if e.Socket != nil {
			add("socket", e.Socket.ID())
		}
		if e.Address.IsValid() {
			add("address", e.Address.String())
		}
		add("user", e.User)
		add("jti", e.JTI)
		add("sid", e.SID)
		add("reason", e.Reason)
		log.LogAttrs(context.Background(), level, "audit", attrs...)
	}
}

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

// AuditKind is the kind of an [AuditEvent]. The application may define its own
// kinds.
type AuditKind string

const (
	// AuditLogin: the application has given a client a token.
	AuditLogin AuditKind = "login"
	// AuditLoginFailed: the credentials were wrong, or could not be checked.
	AuditLoginFailed AuditKind = "loginFailed"
	// AuditLoginLimited: there were too many attempts; see package login.
	AuditLoginLimited AuditKind = "loginLimited"
	// AuditTokenAccepted: a client has presented a token, in its handshake or
	// later, and is logged in with it.
	AuditTokenAccepted AuditKind = "tokenAccepted"
	// AuditTokenRejected: a client has presented a token that is not valid, or
	// that middleware has blocked, or a cookie from a page of another origin.
	// User is set only if the token was verified.
	AuditTokenRejected AuditKind = "tokenRejected"
	// AuditRenewal: the server has replaced the token of a login, to renew it
	// or because its claims have changed.
	AuditRenewal AuditKind = "renewal"
	// AuditLogout: a socket has lost its token, for another reason than those
	// below.
	AuditLogout AuditKind = "logout"
	// AuditExpiry: a socket has lost its token because it has expired.
	AuditExpiry AuditKind = "expiry"
	// AuditRevocation: a socket has lost its token because it was revoked.
	// Without a Socket: tokens have been revoked.
	AuditRevocation AuditKind = "revocation"
)

// AuditEvent: somebody was logged in or out, or an attempt failed. Only the
// server emits it. [AuditLog] writes it to a log. It never contains a token or
// a password.
//
// The events of one socket are in order. Like every event, it delays its socket
// while it is handled.
type AuditEvent struct {
	Kind    AuditKind
	Time    time.Time
	Socket  *Socket    // nil over HTTP, and for a revocation itself
	Address netip.Addr // of the client; the zero Addr if it is not known

	// User is the claim sub of the token, or username if it has no sub. For an
	// attempt to log in it is the name that was entered, cut to 128 bytes. It
	// may be a password that was typed in the wrong place.
	User string

	JTI    string // the claim jti of the token
	SID    string // the claim sid of the token
	Reason string // for people
}

// Audit emits an event of the application among those of the server. A zero
// Time is set to the current time, and an unset Address to that of the Socket.
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

// audited reports whether anybody listens: most servers need not determine the
// user of a token.
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
	queue(s, e)
}

// auditRefused emits an event for an ordinary request whose token was not
// accepted.
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

// setClaims copies the claims that identify the user and the token. token may
// be nil.
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

// AuditLog returns a handler for [On] that writes each event as one record with
// the message "audit". Failures, limits and rejected tokens are at level Warn,
// all others at Info. Empty fields are left out. A nil log means
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

package socketcluster

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/bucket"
)

// limitHits counts how often each limit was reached.
type limitHits struct {
	count  [numLimits]atomic.Uint64
	logged [numLimits]seldom // bounds the records in the log
}

// seldom bounds how often something happens in a second: strangers must not
// fill the log.
type seldom struct{ bucket atomic.Int64 } // a bucket.Bucket, by the server clock

// allow reports whether something may happen once more: at most n times at
// once, and n times a second from then on.
func (s *seldom) allow(now time.Duration, n int) bool {
	r := bucket.PerSecond(n, n)
	for {
		at := s.bucket.Load()
		b := bucket.Bucket(at)
		if r.Wait(b, now) > 0 {
			return false
		}
		if s.bucket.CompareAndSwap(at, int64(r.Take(b, now))) {
			return true
		}
	}
}

// hit counts that a limit was reached.
func (srv *Server) hit(l limit) { srv.hits.count[l].Add(1) }

// hitLogged is hit with a record in the log, at most once a second for each
// limit. The counter has the others.
func (srv *Server) hitLogged(l limit, message string, attrs ...slog.Attr) {
	srv.hit(l)
	if srv.hits.logged[l].allow(srv.clock(), 1) {
		srv.logLimit(slog.LevelWarn, l, message, attrs)
	}
}

// socketsLogged is the number of sockets that are logged as warnings in a
// second, for each limit.
const socketsLogged = 5

// hit is Server.hit with a record in the log, for limits that a socket reaches
// once. Each socket has its record, but those beyond socketsLogged are at level
// Debug.
func (s *Socket) hit(l limit, message string, attrs ...slog.Attr) {
	s.srv.hit(l)
	level := slog.LevelDebug
	if s.srv.hits.logged[l].allow(s.srv.clock(), socketsLogged) {
		level = slog.LevelWarn
	}
	s.srv.logLimit(level, l, message, append(attrs, slog.String("socket", s.ID())))
}

func (srv *Server) logLimit(level slog.Level, l limit, message string, attrs []slog.Attr) {
	srv.log.LogAttrs(context.Background(), level, message, append(attrs, slog.String("limit", l.String()))...)
}

// clock returns the time since the server was made.
func (srv *Server) clock() time.Duration { return time.Since(srv.epoch) }

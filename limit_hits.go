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
	count [numLimits]atomic.Uint64
	told  [numLimits]seldom // whether the log is
}

// seldom lets something happen a number of times a second: strangers must not fill
// the log.
type seldom struct{ bucket atomic.Int64 } // a bucket.Bucket, by the server clock

// allow reports whether something may happen once more, with at most n times at
// once, and n a second from then on.
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

// hitLogged is hit with a line in the log, once a second for each limit at
// most. The counter knows of the others.
func (srv *Server) hitLogged(l limit, message string, attrs ...slog.Attr) {
	srv.hit(l)
	if srv.hits.told[l].allow(srv.clock(), 1) {
		srv.logLimit(slog.LevelWarn, l, message, attrs)
	}
}

// socketsTold is how many sockets the log tells of as warnings in a second, for
// each limit.
const socketsTold = 5

// hit is that of the server with a line in the log, for what happens once to a
// socket. Each socket has its line, but those above socketsTold are for who debugs.
func (s *Socket) hit(l limit, message string, attrs ...slog.Attr) {
	s.srv.hit(l)
	level := slog.LevelDebug
	if s.srv.hits.told[l].allow(s.srv.clock(), socketsTold) {
		level = slog.LevelWarn
	}
	s.srv.logLimit(level, l, message, append(attrs, slog.String("socket", s.id)))
}

func (srv *Server) logLimit(level slog.Level, l limit, message string, attrs []slog.Attr) {
	srv.log.LogAttrs(context.Background(), level, message, append(attrs, slog.String("limit", l.String()))...)
}

// clock is the time since the server was made.
func (srv *Server) clock() time.Duration { return time.Since(srv.epoch) }

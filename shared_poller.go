package socketcluster

import (
	"log/slog"
	"sync"

	"github.com/socketcluster-go/socketcluster/internal/ws"
)

// sharedPoller is the poller of a server's connections. It is made with the
// first connection that can be polled.
type sharedPoller struct {
	mu     sync.Mutex
	poller *ws.Poller
	none   bool // there is none on this system, or not any more
	told   bool // of a failure
}

// get returns nil where connections have to do without. A failure, which there is
// when descriptors run out, may be over with the next connection.
func (p *sharedPoller) get(log *slog.Logger) *ws.Poller {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.poller != nil || p.none {
		return p.poller
	}
	poller, err := ws.NewPoller(log)
	if err != nil {
		if !p.told {
			log.Warn("connections cost more memory: each needs a goroutine", slog.Any("error", err))
		}
		p.told = true
		return nil
	}
	p.poller, p.none = poller, poller == nil
	return poller
}

func (p *sharedPoller) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.poller != nil {
		_ = p.poller.Close()
	}
	p.poller, p.none = nil, true
}

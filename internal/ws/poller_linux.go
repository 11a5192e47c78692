package ws

import (
	"log/slog"
	"os"
	"sync"
	"syscall"
)

// pollEvents is how many events a Poller takes at a time.
const pollEvents = 128

// Poller waits for bytes on many connections with one goroutine, so that none
// of them needs one while it is silent. It starts with the first connection that
// can be polled.
//
// It is an epoll instance that is itself polled by the runtime, so that no
// thread waits in it. The connections stay with the runtime's poller too, for
// writes, deadlines, and the rest of a message that has begun.
type Poller struct {
	log *slog.Logger

	mu       sync.Mutex
	fd       int
	file     *os.File // of fd; nil before it has started
	raw      syscall.RawConn
	done     chan struct{}
	reported bool // that it could not start
	closed   bool
	conns    []polled // by descriptor
	last     int32    // the number of the one that was added last
}

// polled is a connection that has been watched. Its number tells it from others
// that have had the same descriptor, for which an event may be under way.
type polled struct {
	park   *pollPark
	number int32
}

// NewPoller returns a Poller. The logger gets what makes connections do without it.
func NewPoller(log *slog.Logger) *Poller { return &Poller{log: log} }

// ready starts the Poller, unless it runs. It reports false where connections have
// to do without: when it has been closed, or could not start. That happens when
// descriptors run out, and may be over with the next connection.
func (p *Poller) ready() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.file != nil {
		return !p.closed
	}
	if err := p.start(); err != nil {
		if !p.reported {
			p.log.Warn("connections cost more memory: each needs a goroutine", slog.Any("error", err))
		}
		p.reported = true
		return false
	}
	return true
}

// start opens the epoll instance. mu must be held.
func (p *Poller) start() error {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil { // for os.NewFile to poll it
		_ = syscall.Close(fd)
		return os.NewSyscallError("fcntl", err)
	}
	file := os.NewFile(uintptr(fd), "epoll")
	raw, err := file.SyscallConn()
	if err != nil {
		_ = file.Close()
		return err
	}
	p.fd, p.file, p.raw, p.done = fd, file, raw, make(chan struct{})
	go p.run()
	return nil
}

// Close stops the Poller and returns when it has stopped. All its connections
// wait with a goroutine each from then on.
func (p *Poller) Close() error {
	p.release() // before the descriptor can be another file's
	if p.file == nil {
		return nil
	}
	err := p.file.Close()
	<-p.done
	return err
}

// watch has the connection with this descriptor signaled once, when bytes or
// the end have come, or are there already. The descriptor must not be closed
// meanwhile. It reports false if that cannot be done.
func (p *Poller) watch(fd int, park *pollPark) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed { // and its descriptor may be another file's by now
		return false
	}
	if fd >= len(p.conns) {
		p.conns = append(p.conns, make([]polled, fd+1-len(p.conns))...)
	}
	c := &p.conns[fd]
	op := syscall.EPOLL_CTL_MOD
	if c.park != park {
		op = syscall.EPOLL_CTL_ADD
		p.last++
		*c = polled{park, p.last}
	}
	err := syscall.EpollCtl(p.fd, op, fd, &syscall.EpollEvent{
		Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLONESHOT,
		Fd:     int32(fd),
		Pad:    c.number,
	})
	if err != nil {
		*c = polled{}
	}
	return err == nil
}

// forget lets go of a connection whose descriptor has been closed, which has
// taken it out of the epoll instance. The descriptor may be another
// connection's by now.
func (p *Poller) forget(fd int, park *pollPark) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := &p.conns[fd]; c.park == park {
		*c = polled{}
	}
}

// run signals connections until the Poller is closed.
func (p *Poller) run() {
	defer close(p.done)
	defer p.release()
	events := make([]syscall.EpollEvent, pollEvents)
	_ = p.raw.Read(func(fd uintptr) bool {
		for {
			n, err := syscall.EpollWait(int(fd), events, 0)
			if err == syscall.EINTR {
				continue
			}
			if err != nil {
				p.log.Error("connections have to be waited for with a goroutine each", slog.Any("error", os.NewSyscallError("epoll_wait", err)))
				return true
			}
			p.signal(events[:n])
			if n < len(events) {
				return false // what has come meanwhile makes the runtime call again
			}
		}
	})
}

// release takes no more connections, and wakes those that are parked.
func (p *Poller) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, c := range p.conns {
		if c.park != nil {
			c.park.signal()
		}
	}
}

func (p *Poller) signal(events []syscall.EpollEvent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range events {
		if c := p.conns[e.Fd]; c.park != nil && c.number == e.Pad {
			c.park.signal()
		}
	}
}

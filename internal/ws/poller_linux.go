package ws

import (
	"log/slog"
	"os"
	"sync"
	"syscall"

	gws "github.com/gobwas/ws"
)

// pollEvents is the number of events that a Poller takes at a time.
const pollEvents = 128

// Poller waits for bytes on many connections in one goroutine, so no connection
// needs one while it is silent. It starts with the first connection that can be
// polled.
//
// It is an epoll instance that the runtime polls, so no thread waits in it. The
// connections also stay in the runtime's poller, for writes, deadlines, and the
// rest of a message that has begun.
type Poller struct {
	log *slog.Logger

	mu       sync.Mutex
	fd       int
	file     *os.File // of fd; nil before it has started
	raw      syscall.RawConn
	done     chan struct{}
	reported bool // that it could not start
	closed   bool
	conns    []*Conn // that have been watched, by descriptor
	last     int32   // the number of the last one added
}

// NewPoller returns a Poller. It logs the reason if connections have to do
// without it.
func NewPoller(log *slog.Logger) *Poller { return &Poller{log: log} }

// ready starts the Poller, unless it is running. It returns false if it has
// been closed or could not start; then connections have to do without it.
// Starting fails if descriptors run out, and may succeed for the next
// connection.
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

// start opens the epoll instance. The caller holds mu.
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

// Close stops the Poller and returns when it has stopped. From then on, each of
// its connections waits in a goroutine.
func (p *Poller) Close() error {
	p.release() // before the descriptor can be another file's
	if p.file == nil {
		return nil
	}
	err := p.file.Close()
	<-p.done
	return err
}

// watch makes the Poller signal the connection with this descriptor once, when
// bytes or the end arrive or have already arrived. The descriptor must not be
// closed meanwhile. It returns false if this is not possible.
func (p *Poller) watch(fd int, conn *Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed { // its descriptor may now be another file's
		return false
	}
	if fd >= len(p.conns) {
		p.conns = append(p.conns, make([]*Conn, fd+1-len(p.conns))...)
	}
	op := syscall.EPOLL_CTL_MOD
	if p.conns[fd] != conn {
		op = syscall.EPOLL_CTL_ADD
		p.last++
		p.conns[fd], conn.park.number = conn, p.last
	}
	err := syscall.EpollCtl(p.fd, op, fd, &syscall.EpollEvent{
		Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLONESHOT,
		Fd:     int32(fd),
		Pad:    conn.park.number,
	})
	if err != nil {
		p.conns[fd] = nil
	}
	return err == nil
}

// forget releases a connection whose descriptor has been closed, which has
// removed it from the epoll instance. The descriptor may now be another
// connection's.
func (p *Poller) forget(fd int, conn *Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns[fd] == conn {
		p.conns[fd] = nil
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
				p.log.Error("polling has failed; each connection needs a goroutine", slog.Any("error", os.NewSyscallError("epoll_wait", err)))
				return true
			}
			p.signal(events[:n])
			if n < len(events) {
				return false // an event in the meantime makes the runtime call again
			}
		}
	})
}

// release makes the Poller refuse connections, and wakes those that are parked.
func (p *Poller) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, c := range p.conns {
		if c != nil {
			c.signal()
		}
	}
}

func (p *Poller) signal(events []syscall.EpollEvent) {
	for _, e := range events {
		if c := p.watched(e); c != nil && c.unpark() {
			c.attend()
		}
	}
}

// watched returns the connection of an event, or nil if it is gone.
func (p *Poller) watched(e syscall.EpollEvent) *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.conns[e.Fd]; c != nil && c.park.number == e.Pad {
		return c
	}
	return nil
}

// attend reads on, on the goroutine of the Poller, without waiting. It parks the
// connection again if there is nothing but a text that the owner takes at once.
// Otherwise another goroutine goes on with what has been read.
func (c *Conn) attend() {
	for {
		gone, err := c.tryLeave()
		if gone {
			return
		}
		if err != nil {
			_, _ = c.fail(nil, err, false)
		}
		if !c.takeShort() {
			go c.owner.Resume()
			return
		}
	}
}

// shortText is the size up to which texts are offered to TakeShort.
const shortText = 8

// takeShort reports whether the unread bytes are one short text, unfragmented and as it
// is, and the owner has taken it.
func (c *Conn) takeShort() bool {
	const head = 2 + maskSize
	n := len(c.in) - head
	if n < 0 || n > shortText || int64(n) > c.limit.Load() || c.in[0] != finBit|byte(OpText) || c.in[1] != maskBit|byte(n) {
		return false
	}
	mask, text := [maskSize]byte(c.in[2:]), c.in[head:]
	gws.Cipher(text, mask, 0)
	if !c.owner.TakeShort(text) {
		gws.Cipher(text, mask, 0) // for Read
		return false
	}
	c.consume(len(c.in))
	return true
}

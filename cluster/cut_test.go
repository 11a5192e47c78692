package cluster_test

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/cluster"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// cutter carries the routes between nodes, and can cut them: each node reaches each
// other through an address of its own.
type cutter struct {
	mu    sync.Mutex
	off   map[int]bool // nodes that are cut off
	apart [2]int       // nodes that are cut off from each other; the same one twice for none
	conns map[net.Conn][2]int
	delay atomic.Int64 // of what is carried, in nanoseconds
	over  sync.WaitGroup
}

// startCut starts n nodes with storage whose routes can be cut.
func startCut(t testing.TB, n int, change func(*cluster.Options)) ([]*cluster.Node, []cluster.Options, *cutter) {
	t.Helper()
	c := &cutter{off: make(map[int]bool), conns: make(map[net.Conn][2]int)}
	var listeners []net.Listener
	listen := make([]string, n)
	for i := range listen {
		listen[i] = sctest.FreeAddr(t)
	}
	routes := make([][]string, n)
	for from := range n {
		for to := range n {
			if from == to {
				continue
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			listeners = append(listeners, l)
			routes[from] = append(routes[from], l.Addr().String())
			c.over.Go(func() { c.serve(l, from, to, listen[to]) })
		}
	}
	t.Cleanup(func() {
		for _, l := range listeners {
			_ = l.Close()
		}
		for i := range n {
			c.cut(i)
		}
		c.over.Wait()
	})
	nodes, options := startStored(t, n, func(o *cluster.Options) {
		i := int(o.Name[0] - 'a')
		o.Listen, o.Routes = listen[i], routes[i]
		o.Advertise = "127.0.0.1:1" // otherwise nodes tell each other of a way around the cutter
		change(o)
	})
	return nodes, options, c
}

func (c *cutter) serve(l net.Listener, from, to int, addr string) {
	for {
		a, err := l.Accept()
		if err != nil {
			return
		}
		b, err := net.Dial("tcp", addr)
		if err != nil {
			_ = a.Close()
			continue
		}
		c.mu.Lock()
		off := c.off[from] || c.off[to] || c.isApart(from, to)
		if !off {
			c.conns[a], c.conns[b] = [2]int{from, to}, [2]int{from, to}
		}
		c.mu.Unlock()
		if off {
			_, _ = a.Close(), b.Close()
			continue
		}
		for _, pair := range [][2]net.Conn{{a, b}, {b, a}} {
			c.over.Go(func() {
				c.carry(pair[0], pair[1])
				_, _ = a.Close(), b.Close()
			})
		}
	}
}

// carry copies what comes, each read after the delay.
func (c *cutter) carry(to io.Writer, from net.Conn) {
	type read struct {
		due  time.Time
		data []byte
	}
	reads := make(chan read, 1<<10)
	var over sync.WaitGroup
	over.Go(func() {
		for r := range reads {
			time.Sleep(time.Until(r.due))
			if _, err := to.Write(r.data); err != nil {
				_ = from.Close() // ends the reads
			}
		}
	})
	for {
		buffer := make([]byte, 64<<10)
		n, err := from.Read(buffer)
		if n > 0 {
			reads <- read{time.Now().Add(time.Duration(c.delay.Load())), buffer[:n]}
		}
		if err != nil {
			close(reads)
			over.Wait()
			return
		}
	}
}

// flap ends the routes of a node. They may come back at once.
func (c *cutter) flap(node int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn, ends := range c.conns {
		if ends[0] == node || ends[1] == node {
			_ = conn.Close()
			delete(c.conns, conn)
		}
	}
}

// cut cuts a node off, and heal lets it back.
func (c *cutter) cut(node int) {
	c.mu.Lock()
	c.off[node] = true
	c.mu.Unlock()
	c.flap(node)
}

func (c *cutter) isApart(a, b int) bool {
	return a != b && (c.apart == [2]int{a, b} || c.apart == [2]int{b, a})
}

func (c *cutter) heal(node int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.off, node)
}

package socketcluster_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/socketcluster-go/socketcluster"
)

// subscribeTo makes clients and subscribes each of them to a channel.
func (w *world) subscribeTo(channel string, count int) []*peer {
	w.t.Helper()
	peers := make([]*peer, count)
	for i := range peers {
		peers[i] = w.client()
		peers[i].send(fmt.Sprintf(`{"event":"#subscribe","data":{"channel":%q},"cid":2}`, channel))
		peers[i].want(`{"rid":2}`)
	}
	return peers
}

// counts reads n publications whose data begins with their number, in order.
func counts(p *peer, n int) error {
	for i := range n {
		var packet struct {
			Data struct{ Data string } `json:"data"`
		}
		text := p.next()
		if err := json.Unmarshal([]byte(text), &packet); err != nil || !strings.HasPrefix(packet.Data.Data, fmt.Sprint(i, " ")) {
			return fmt.Errorf("publication %d: %.40s, %v", i, text, err)
		}
	}
	return nil
}

// numbered is the data of a publication of 1 KiB.
func numbered(i int) string { return numberedOf(i, 1<<10) }

func numberedOf(i, size int) string {
	text := fmt.Sprint(i, " ")
	return text + strings.Repeat("x", size-len(text))
}

// A burst of 16 MB, eight times Limits.Outbox, reaches all clients that read, over TCP:
// of the server with and without waiting, and of a client that publishes as fast as it
// may.
func TestBurst(t *testing.T) {
	const readers, count, size = 3, 2000, 8 << 10
	publish := func(ctx context.Context) func(t *testing.T, s *site) {
		return func(t *testing.T, s *site) {
			for i := range count {
				if err := s.Exchange().Publish(ctx, "a", numberedOf(i, size)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for name, burst := range map[string]func(t *testing.T, s *site){
		"of the server":                 publish(context.Background()),
		"of the server without waiting": publish(socketcluster.NoWait(context.Background())),
		"of a client": func(t *testing.T, s *site) {
			c, err := dialTCP(s.addr)
			if err == nil {
				err = c.handshake()
			}
			c.SetDeadline(time.Now().Add(10 * hangLimit))
			for i := 0; i < count && err == nil; i++ {
				err = c.Send(fmt.Sprintf(`{"event":"#publish","data":{"channel":"a","data":%q}}`, numberedOf(i, size)))
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := startSite(t, socketcluster.Config{Timeouts: socketcluster.Timeouts{PingDisabled: true}, Limits: socketcluster.Limits{PublishRate: 1e6}})
			defer s.close(t)
			failures := make(chan error, readers)
			for range readers {
				c, err := dialTCP(s.addr)
				if err == nil {
					err = c.handshake()
				}
				if err == nil {
					err = c.Send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
				}
				if err == nil {
					err = c.skip(ws.OpText)
				}
				if err != nil {
					t.Fatal(err)
				}
				c.SetDeadline(time.Now().Add(10 * hangLimit))
				go func() {
					defer c.Close()
					failures <- countFrames(c, count, size)
				}()
			}
			burst(t, s)
			for range readers {
				if err := <-failures; err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// countFrames reads n publications of numbered data, which all have one size.
func countFrames(c caller, n, size int) error {
	const before, after = `{"event":"#publish","data":{"channel":"a","data":"`, `"}}`
	frame := make([]byte, 4+len(before)+size+len(after))
	for i := range n {
		if _, err := io.ReadFull(c.In, frame); err != nil {
			return fmt.Errorf("publication %d: %w", i, err)
		}
		number, _, ok := bytes.Cut(frame[4+len(before):], []byte(" "))
		if got, err := strconv.Atoi(string(number)); !ok || err != nil || got != i || string(frame[4:4+len(before)]) != before {
			return fmt.Errorf("publication %d: %.80q", i, frame)
		}
	}
	return nil
}

// A slow client gets a burst of the server too, if it reads at the pace of
// Limits.OutboxDrain. It is not taken for dead either, as pings overtake what
// waits.
func TestBurstForASlowClient(t *testing.T) {
	cfg := socketcluster.Config{Limits: socketcluster.Limits{Outbox: 100_000}}
	inBubble(t, cfg, func(w *world) {
		w.listen.BufferSize = 4096
		p := w.subscribeTo("a", 1)[0]
		const count = 1000 // ten times the limit, in 250 s
		ctx := socketcluster.NoWait(context.Background())
		for i := range count {
			if err := w.srv.Exchange().Publish(ctx, "a", numbered(i)); err != nil {
				t.Fatal(err)
			}
		}
		for i := range count {
			if text := p.next(); !strings.Contains(text, fmt.Sprintf(`"data":"%d `, i)) {
				t.Fatalf("publication %d: %.60s", i, text)
			}
			time.Sleep(250 * time.Millisecond)
		}
		if s := w.only(); s.State() != socketcluster.Open {
			t.Error("the socket has closed")
		}
	})
}

// How long a publisher waits: it waits for clients that read, and those that
// are slow or read nothing hold it up for a moment each time that they have
// been caught up.
func TestPublishWaits(t *testing.T) {
	const kib = 1 << 10
	publish := func(w *world, ctx context.Context, n int) time.Duration {
		began := time.Now()
		for i := range n {
			if err := w.srv.Exchange().Publish(ctx, "a", numbered(i)); err != nil {
				w.t.Fatal(err)
			}
		}
		return time.Since(began)
	}
	var readers sync.WaitGroup
	reading := func(p *peer, n int, every time.Duration) {
		readers.Go(func() {
			buf := make([]byte, n)
			for {
				time.Sleep(every)
				if _, err := p.Conn.Read(buf); err != nil {
					return
				}
			}
		})
	}
	for _, test := range []struct {
		name  string
		read  func(p *peer) // how the second subscriber reads; the first reads all
		ctx   context.Context
		least time.Duration // that publishing 1 MiB takes
		most  time.Duration
	}{
		// The outbox has 100 KiB, of which half is read in 50 ms each time.
		{"for a client that reads", func(p *peer) { reading(p, kib, time.Millisecond) }, context.Background(), 500 * time.Millisecond, 1100 * time.Millisecond},
		{"not for a slow client", func(p *peer) { reading(p, kib, 20*time.Millisecond) }, context.Background(), 100 * time.Millisecond, 300 * time.Millisecond},
		{"not for one that reads a byte now and then", func(p *peer) { reading(p, 1, 10*time.Millisecond) }, context.Background(), 100 * time.Millisecond, 300 * time.Millisecond},
		{"not for one that does not read", func(*peer) {}, context.Background(), 0, 60 * time.Millisecond},
		{"not without waiting", func(p *peer) { reading(p, kib, time.Millisecond) }, socketcluster.NoWait(context.Background()), 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := socketcluster.Config{Limits: socketcluster.Limits{Outbox: 100 * kib}}
			inBubble(t, cfg, func(w *world) {
				w.listen.BufferSize = kib
				peers := w.subscribeTo("a", 2)
				reading(peers[0], 1<<20, time.Microsecond)
				test.read(peers[1])
				if d := publish(w, test.ctx, 1024); d < test.least || d > test.most {
					t.Errorf("publishing took %v, want %v to %v", d, test.least, test.most)
				}
				for _, p := range peers {
					p.Conn.Close()
				}
				readers.Wait()
			})
		})
	}
}

// A publisher does not wait for the clients of other channels.
func TestPublishWaitsForSubscribers(t *testing.T) {
	inBubble(t, socketcluster.Config{Limits: socketcluster.Limits{Outbox: 10_000}}, func(w *world) {
		w.listen.BufferSize = 1000
		w.subscribeTo("a", 1)
		ctx := context.Background()
		began := time.Now()
		if err := w.srv.Exchange().Publish(socketcluster.NoWait(ctx), "a", strings.Repeat("x", 20_000)); err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			channel string
			wait    time.Duration
		}{{"b", 0}, {"a", 50 * time.Millisecond}} {
			if err := w.srv.Exchange().Publish(ctx, test.channel, "x"); err != nil {
				t.Fatal(err)
			}
			if d := time.Since(began); d != test.wait {
				t.Errorf("publishing to %s took %v, want %v", test.channel, d, test.wait)
			}
		}
	})
}

// The end of the context ends the wait of a publisher, and the publication has
// been sent.
func TestPublishWaitsUpToItsContext(t *testing.T) {
	inBubble(t, socketcluster.Config{Limits: socketcluster.Limits{Outbox: 10_000}}, func(w *world) {
		w.listen.BufferSize = 1000
		p := w.subscribeTo("a", 1)[0]
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		began := time.Now()
		for i := range 15 {
			if err := w.srv.Exchange().Publish(ctx, "a", numbered(i)); err != nil {
				t.Fatal(err)
			}
		}
		if d := time.Since(began); d != 20*time.Millisecond {
			t.Errorf("publishing took %v", d)
		}
		if err := counts(p, 15); err != nil {
			t.Error(err)
		}
	})
}

// Clients that publish to a channel that they are subscribed to, and read nothing
// until they have sent all, wait for themselves and for each other: not forever.
func TestPublishToOneself(t *testing.T) {
	cfg := socketcluster.Config{Limits: socketcluster.Limits{Outbox: 10_000, Inbox: 2}}
	inBubble(t, cfg, func(w *world) {
		w.listen.BufferSize = 2000
		var all sync.WaitGroup
		for _, p := range w.subscribeTo("a", 3) {
			all.Go(func() {
				for i := range 50 {
					p.send(fmt.Sprintf(`{"event":"#publish","data":{"channel":"a","data":%q}}`, numbered(i)))
				}
				for range 150 {
					if text := p.next(); len(text) < 1024 {
						t.Errorf("got %q", text)
						return
					}
				}
			})
		}
		all.Wait()
	})
}

// Transmit and Send wait for their client, up to their context, which is an error
// that names the limit; nothing is sent then.
func TestTransmitWaits(t *testing.T) {
	for name, send := range map[string]func(s *socketcluster.Socket, ctx context.Context, text string) error{
		"Transmit": func(s *socketcluster.Socket, ctx context.Context, text string) error {
			return s.Transmit(ctx, "e", text)
		},
		"Send": func(s *socketcluster.Socket, ctx context.Context, text string) error { return s.Send(ctx, text) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, socketcluster.Config{Limits: socketcluster.Limits{Outbox: 10_000}}, func(w *world) {
				w.listen.BufferSize = 1000
				p := w.client()
				s := w.only()
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				began := time.Now()
				sent := 0
				var err error
				for ; err == nil && sent < 100; sent++ {
					err = send(s, ctx, numbered(sent))
				}
				sent-- // the last one was not
				if d := time.Since(began); d != time.Second || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(fmt.Sprint(err), "Limits.Outbox") {
					t.Errorf("failed after %v: %v", d, err)
				}
				if n := s.Stats().OutboxBytes; n < 5000 || n > 7000 {
					t.Errorf("%d bytes are waiting, want half of the limit", n)
				}
				if err := send(s, socketcluster.NoWait(ctx), numbered(sent)); err != nil {
					t.Errorf("without waiting: %v", err)
				}
				for i := range sent + 1 {
					if text := p.next(); !strings.Contains(text, fmt.Sprint(i, " ")) {
						t.Fatalf("message %d: %.40s", i, text)
					}
				}
				p.quiet(time.Second)
			})
		})
	}
}

// The end of a socket, and of the server, ends what waits for it.
func TestWaitsEndWithTheSocket(t *testing.T) {
	for name, end := range map[string]func(w *world, s *socketcluster.Socket){
		"disconnected": func(_ *world, s *socketcluster.Socket) { s.Disconnect(4500, "") },
		"terminated":   func(_ *world, s *socketcluster.Socket) { s.Terminate() },
		"shutdown": func(w *world, _ *socketcluster.Socket) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			w.srv.Shutdown(ctx)
		},
		"close": func(w *world, _ *socketcluster.Socket) { w.srv.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, socketcluster.Config{Limits: socketcluster.Limits{Outbox: 10_000}}, func(w *world) {
				w.listen.BufferSize = 1000
				w.subscribeTo("a", 1)
				s := w.only()
				ctx := context.Background()
				var all sync.WaitGroup
				all.Go(func() {
					for i := 0; s.State() == socketcluster.Open; i++ {
						s.Transmit(ctx, "e", numbered(i))
					}
				})
				all.Go(func() {
					for i := 0; s.State() == socketcluster.Open; i++ {
						w.srv.Exchange().Publish(ctx, "a", numbered(i))
						time.Sleep(time.Millisecond)
					}
				})
				time.Sleep(100 * time.Millisecond)
				end(w, s)
				began := time.Now()
				all.Wait()
				if d := time.Since(began); d > 300*time.Millisecond {
					t.Errorf("they have waited for %v more", d)
				}
			})
		})
	}
}

// A message above Limits.Outbox passes, and so do those behind it.
func TestMessageAboveTheOutbox(t *testing.T) {
	for name, send := range map[string]func(w *world, s *socketcluster.Socket, text string) error{
		"Transmit": func(_ *world, s *socketcluster.Socket, text string) error {
			return s.Transmit(context.Background(), "e", text)
		},
		"Transmit without waiting": func(_ *world, s *socketcluster.Socket, text string) error {
			return s.Transmit(socketcluster.NoWait(context.Background()), "e", text)
		},
		"Publish": func(w *world, _ *socketcluster.Socket, text string) error {
			return w.srv.Exchange().Publish(context.Background(), "a", text)
		},
		"Send": func(_ *world, s *socketcluster.Socket, text string) error { return s.Send(context.Background(), text) },
	} {
		for _, outbound := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", outbound middleware ", outbound), func(t *testing.T) {
				inBubble(t, socketcluster.Config{}, func(w *world) {
					if outbound {
						w.srv.UseOutbound(func(context.Context, socketcluster.Action) error { return nil })
					}
					p := w.subscribeTo("a", 1)[0]
					s := w.only()
					for range 2 {
						done := make(chan error, 1)
						go func() {
							err := send(w, s, strings.Repeat("x", 3<<20))
							for i := 0; i < 3 && err == nil; i++ {
								err = send(w, s, "small")
							}
							done <- err
						}()
						synctest.Wait() // nobody reads yet
						for _, size := range []int{3 << 20, 5, 5, 5} {
							if text := p.next(); len(text) < size || len(text) > size+100 {
								t.Fatalf("got %d bytes, want %d", len(text), size)
							}
						}
						if err := <-done; err != nil {
							t.Fatal(err)
						}
					}
				})
			})
		}
	}
}

// An answer that waits for room and publications in between do not end the
// connection.
func TestAnswersAndPublications(t *testing.T) {
	inBubble(t, socketcluster.Config{Limits: socketcluster.Limits{Outbox: 10_000}, Timeouts: socketcluster.Timeouts{PingDisabled: true}}, func(w *world) {
		w.listen.BufferSize = 1000
		w.srv.Handle("p", socketcluster.Func(func(_ context.Context, n int) (string, error) {
			return strings.Repeat("x", n), nil
		}))
		p := w.subscribeTo("a", 1)[0]
		for i := range 5 {
			p.send(fmt.Sprintf(`{"event":"p","data":9000,"cid":%d}`, i+3))
		}
		synctest.Wait()
		for range 9 { // fill what room there is
			w.srv.Exchange().Publish(context.Background(), "a", strings.Repeat("y", 900))
		}
		answers, publications := 0, 0
		for answers < 5 || publications < 9 {
			switch text := p.next(); {
			case strings.Contains(text, "xxx"):
				answers++
			case strings.Contains(text, "yyy"):
				publications++
			default:
				t.Fatalf("got %.40s", text)
			}
		}
	})
}

// Outbound middleware may send to its own socket, however much waits for it.
func TestTransmitInOutboundMiddleware(t *testing.T) {
	inBubble(t, socketcluster.Config{Limits: socketcluster.Limits{Outbox: 10_000}}, func(w *world) {
		socketcluster.Use(w.srv, func(ctx context.Context, a *socketcluster.PublishOut) error {
			time.Sleep(time.Millisecond)
			if err := a.Socket.Transmit(ctx, "e", "extra"); err != nil {
				t.Error(err)
			}
			return w.srv.Exchange().Publish(ctx, "b", "x")
		})
		p := w.subscribeTo("a", 1)[0]
		ctx := socketcluster.NoWait(context.Background())
		for i := range 100 {
			w.srv.Exchange().Publish(ctx, "a", numbered(i))
		}
		publications, extras := 0, 0
		for publications < 100 || extras < 100 {
			switch text := p.next(); {
			case strings.Contains(text, "extra"):
				extras++
			case strings.Contains(text, "xxx"):
				publications++
			}
		}
	})
}

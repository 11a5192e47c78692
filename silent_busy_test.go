package socketcluster_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/socketcluster-go/socketcluster"
)

// Clients over TCP that are silent and busy by turns, so that their sockets have
// a goroutine and have none, get each answer and each publication once, in
// order, whatever ends the others.
func TestSilentAndBusyClients(t *testing.T) {
	before := trackLeaks(t)
	s := startSite(t, socketcluster.Config{PingInterval: 200 * time.Millisecond, PingTimeout: hangLimit})
	s.Handle("echo", socketcluster.Func(echo))
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			for range 3 {
				if err := s.liveSilentAndBusy(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	s.settled(t)
	s.close(t)
	before.check(t)
}

// liveSilentAndBusy is a client from its handshake to its end.
func (s *site) liveSilentAndBusy() error {
	c, err := dialTCP(s.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.upgrade(); err != nil {
		return err
	}
	if err := c.send(`{"event":"#handshake","data":{},"cid":1}`); err != nil {
		return err
	}
	text, err := c.nextText()
	if err != nil {
		return err
	}
	var status struct {
		Data struct{ ID string }
	}
	if err := json.Unmarshal([]byte(text), &status); err != nil {
		return err
	}
	cid := 2
	channel := fmt.Sprintf("channel/%s", status.Data.ID)
	if err := c.send(fmt.Sprintf(`{"event":"#subscribe","data":{"channel":%q},"cid":%d}`, channel, cid)); err != nil {
		return err
	}
	if answer, err := c.nextText(); err != nil || answer != fmt.Sprintf(`{"rid":%d}`, cid) {
		return fmt.Errorf("subscribing: %s, %v", answer, err)
	}
	for range 8 {
		if rand.N(2) == 0 {
			time.Sleep(rand.N(150 * time.Millisecond))
		}
		var burst []byte
		const calls, publications = 0, 1
		var want [2][]string
		for range 1 + rand.N(24) {
			cid++
			var message string
			if rand.N(4) == 0 {
				message = fmt.Sprintf(`{"event":"#publish","data":{"channel":%q,"data":%d},"cid":%d}`, channel, cid, cid)
				want[publications] = append(want[publications], fmt.Sprintf(`{"event":"#publish","data":{"channel":%q,"data":%d}}`, channel, cid), fmt.Sprintf(`{"rid":%d}`, cid))
			} else {
				message = fmt.Sprintf(`{"event":"echo","data":%d,"cid":%d}`, cid, cid)
				want[calls] = append(want[calls], fmt.Sprintf(`{"rid":%d,"data":%d}`, cid, cid))
			}
			burst = append(burst, ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(message))))...)
		}
		cut := rand.N(len(burst))
		for _, part := range [][]byte{burst[:cut], burst[cut:]} {
			if _, err := c.Write(part); err != nil {
				return err
			}
			if rand.N(4) == 0 {
				time.Sleep(rand.N(5 * time.Millisecond))
			}
		}
		for len(want[calls])+len(want[publications]) > 0 {
			got, err := c.nextText()
			if err != nil {
				return err
			}
			// Answers of handlers come in order, and so do publications with theirs.
			switch {
			case len(want[calls]) > 0 && want[calls][0] == got:
				want[calls] = want[calls][1:]
			case len(want[publications]) > 0 && want[publications][0] == got:
				want[publications] = want[publications][1:]
			default:
				return fmt.Errorf("got %s, want one of the first of %q", got, want)
			}
		}
	}
	if rand.N(2) == 0 {
		time.Sleep(rand.N(150 * time.Millisecond))
	}
	switch socket := s.Client(status.Data.ID); rand.N(5) {
	case 0:
		return c.reset()
	case 1:
		socket.Terminate()
	case 2:
		if err := socket.Disconnect(4321, ""); err != nil {
			return err
		}
		if _, err := c.nextText(); err == nil {
			return fmt.Errorf("a message after the end")
		}
	case 3:
		return c.leave()
	}
	return nil
}

// nextText reads a message, and answers pings.
func (c caller) nextText() (string, error) {
	for {
		f, err := readFrame(c.in)
		if err != nil {
			return "", err
		}
		switch {
		case f.Header.OpCode != ws.OpText:
			return "", fmt.Errorf("opcode %d with %q", f.Header.OpCode, f.Payload)
		case len(f.Payload) > 0:
			return string(f.Payload), nil
		}
		if err := c.send(""); err != nil {
			return "", err
		}
	}
}

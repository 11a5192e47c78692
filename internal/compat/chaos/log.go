package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/compat/chaos/judge"
)

// diary collects what happens in a round.
type diary struct {
	begun time.Time

	mu  sync.Mutex
	all []judge.Event
}

// now returns the time since the round has begun.
func (d *diary) now() time.Duration { return time.Since(d.begun) }

// add adds an event of this moment.
func (d *diary) add(e judge.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e.At = d.now()
	d.all = append(d.all, e)
}

// addAt adds an event that another process has seen.
func (d *diary) addAt(e judge.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = append(d.all, e)
}

// events returns what has happened so far.
func (d *diary) events() []judge.Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]judge.Event(nil), d.all...)
}

// write writes events into a file, a line of JSON each.
func write(path string, events []judge.Event) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	encoder := json.NewEncoder(w)
	for _, e := range events {
		if err := encoder.Encode(e); err != nil {
			break
		}
	}
	if err := w.Flush(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// read reads what write has written.
func read(path string) (events []judge.Event, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for decoder := json.NewDecoder(bufio.NewReader(f)); ; {
		var e judge.Event
		switch err := decoder.Decode(&e); {
		case errors.Is(err, io.EOF):
			return events, nil
		case err != nil:
			return nil, err
		}
		events = append(events, e)
	}
}

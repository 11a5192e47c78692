package users

import (
	"errors"
	"sync"
)

var errClosed = errors.New("users: the database is closed")

// memory is a table that ends with the process.
type memory struct {
	mu   sync.RWMutex
	rows map[string][]byte // nil when the table has been closed
}

func newMemory() *memory { return &memory{rows: make(map[string][]byte)} }

func (m *memory) add(name string, row []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.rows == nil:
		return errClosed
	case m.rows[name] != nil:
		return errTaken
	}
	m.rows[name] = row
	return nil
}

func (m *memory) find(name string) ([]byte, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.rows == nil {
		return nil, errClosed
	}
	return m.rows[name], nil
}

func (m *memory) count() (int, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.rows == nil {
		return 0, errClosed
	}
	return len(m.rows), nil
}

func (m *memory) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rows = nil
	return nil
}

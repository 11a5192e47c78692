package cluster

import (
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/socketcluster-go/socketcluster/auth/revoke"
)

// A revocation that is sent again, as the answer was lost, is stored once, and watchers
// are told once.
func TestRevocationIsStoredOnce(t *testing.T) {
	t.Parallel()
	n, err := Start(t.Context(), Options{Name: "a", StoreDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	rv, err := n.Revocations(t.Context(), RevocationOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var told atomic.Int32
	defer rv.Watch(func(revoke.Revocation) { told.Add(1) })()
	m := revoked{ID: "1", Revocation: revoke.Revocation{JTI: "x"}}
	var seqs [2]uint64
	for i := range seqs {
		if seqs[i], _, err = rv.put(t.Context(), rv.subjectOf(m.Revocation), m, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := rv.Add(t.Context(), revoke.Revocation{JTI: "y"}); err != nil { // after what came before
		t.Fatal(err)
	}
	if err := rv.await(t.Context(), seqs[1]); err != nil {
		t.Fatal(err)
	}
	if n := told.Load(); seqs[0] != seqs[1] || n != 2 {
		t.Errorf("stored at %v; the watcher has been told %d times of 2 revocations", seqs, n)
	}
}

package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"math"
	"time"

	"github.com/socketcluster-go/socketcluster/auth/revoke"
)

// revocations are kept in memory, where each token is checked, and in the
// database, so that no ended login is valid again after a restart.
type revocations struct {
	revoke.Memory
	db *sql.DB
}

// openRevocations reads the revocations that are still needed.
func openRevocations(ctx context.Context, db *sql.DB) (*revocations, error) {
	r := &revocations{db: db}
	rows, err := db.QueryContext(ctx, `SELECT revocation FROM revocations WHERE until > ?`, time.Now().Unix())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var text []byte
		var one revoke.Revocation
		err := rows.Scan(&text)
		if err == nil {
			err = json.Unmarshal(text, &one)
		}
		if err == nil {
			err = r.Memory.Add(ctx, one)
		}
		if err != nil {
			return nil, err
		}
	}
	return r, rows.Err()
}

// Add implements [revoke.Store]. If the revocation cannot be stored, nothing is
// revoked: the user gets an error and can try again. Otherwise a logout would
// seem to have worked, but a restart would undo it.
func (r *revocations) Add(ctx context.Context, one revoke.Revocation) error {
	now := time.Now()
	one, err := one.Normalize(now)
	if err != nil {
		return err
	}
	text, err := json.Marshal(one)
	if err != nil {
		return err
	}
	until := int64(math.MaxInt64)
	if !one.Until.IsZero() {
		until = one.Until.Unix()
	}
	_, old := r.db.ExecContext(ctx, `DELETE FROM revocations WHERE until <= ?`, now.Unix())
	_, err = r.db.ExecContext(ctx, `INSERT INTO revocations (revocation, until) VALUES (?, ?)`, string(text), until)
	if err := errors.Join(old, err); err != nil {
		return err
	}
	return r.Memory.Add(ctx, one)
}

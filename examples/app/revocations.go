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

// revocations are those in memory, which are asked about each token, and in the
// database, so that a restart brings back no login that has ended.
type revocations struct {
	revoke.Memory
	db *sql.DB
}

// openRevocations reads what is still of use.
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

// Add implements [revoke.Store]. What cannot be kept is not revoked: the user
// gets an error and can try again, while a logout that a restart undoes would
// look like one that worked.
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

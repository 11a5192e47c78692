package users

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// lockWait is how long Open waits for another process that has the file open,
// such as one that is about to end.
const lockWait = time.Second

// bucketName is the bucket of the rows.
var bucketName = []byte("users")

// file is a table in a file of bbolt.
type file struct{ db *bbolt.DB }

// openFile opens the table in a file, and creates both if there are none.
func openFile(path string) (_ *file, err error) {
	// bbolt maps the file into memory, and trusts it. A file that was cut or
	// damaged would end the process by a fault or a panic, now or at a login. So
	// all of it is read now. After a panic the file stays locked until the process
	// ends.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("%s is damaged: %v", path, fault)
		}
	}()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockWait})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("%s is open in another process: %w", path, err)
	case errors.As(err, new(*fs.PathError)):
		return nil, err // names the file
	case err != nil:
		return nil, fmt.Errorf("%s is not a database of users: %w", path, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		bucket, err := tx.CreateBucketIfNotExists(bucketName)
		if err != nil {
			return err
		}
		return bucket.ForEach(func(_, row []byte) error {
			if row == nil {
				return errors.New("a row is a bucket")
			}
			return nil
		})
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s is not a database of users: %w", path, err), db.Close())
	}
	return &file{db}, nil
}

func (f *file) add(name string, row []byte) error {
	return f.db.Update(func(tx *bbolt.Tx) error {
		bucket, key := tx.Bucket(bucketName), []byte(name)
		if bucket.Get(key) != nil {
			return errTaken
		}
		return bucket.Put(key, row)
	})
}

func (f *file) find(name string) (row []byte, err error) {
	err = f.db.View(func(tx *bbolt.Tx) error {
		row = bytes.Clone(tx.Bucket(bucketName).Get([]byte(name))) // those of bbolt end with the transaction
		return nil
	})
	return row, err
}

func (f *file) count() (n int, err error) {
	err = f.db.View(func(tx *bbolt.Tx) error {
		n = tx.Bucket(bucketName).Stats().KeyN
		return nil
	})
	return n, err
}

func (f *file) close() error { return f.db.Close() }

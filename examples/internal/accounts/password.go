package accounts

import (
	"bufio"
	"errors"
	"io"
)

// ReadPassword reads a line, the password of a new user. No password at all is an
// error: whoever knows the name could log in.
func ReadPassword(r io.Reader) (string, error) {
	line := bufio.NewScanner(r)
	line.Scan()
	if err := line.Err(); err != nil {
		return "", err
	}
	if line.Text() == "" {
		return "", errors.New("no password is on the standard input")
	}
	return line.Text(), nil
}

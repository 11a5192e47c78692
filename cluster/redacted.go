package cluster

import (
	"fmt"

	"github.com/socketcluster-go/socketcluster/internal/redact"
)

func (o Options) text() string { return redact.Text(o, "Secret", "URL") }

// Format implements [fmt.Formatter]. It shows neither the secret nor the URL, which
// may have a password.
func (o Options) Format(f fmt.State, _ rune) { redact.Format(f, o.text()) }

// MarshalJSON implements json.Marshaler, as Format does fmt.Formatter.
func (o Options) MarshalJSON() ([]byte, error) { return redact.JSON(o.text()) }

func (n *Node) text() string {
	if n == nil {
		return "<nil>"
	}
	return "cluster.Node{" + n.o.Name + "}"
}

// Format implements [fmt.Formatter]. It shows only the name.
func (n *Node) Format(f fmt.State, _ rune) { redact.Format(f, n.text()) }

// MarshalJSON implements json.Marshaler, as Format does fmt.Formatter.
func (n *Node) MarshalJSON() ([]byte, error) { return redact.JSON(n.text()) }

func (p Publication) text() string { return redact.Text(p, "Data") }

// Format implements [fmt.Formatter]. It shows no data.
func (p Publication) Format(f fmt.State, _ rune) { redact.Format(f, p.text()) }

// MarshalJSON implements json.Marshaler, as Format does fmt.Formatter.
func (p Publication) MarshalJSON() ([]byte, error) { return redact.JSON(p.text()) }

func (rv *Revocations) text() string {
	if rv == nil {
		return "<nil>"
	}
	return "cluster.Revocations{" + rv.n.o.Name + "}"
}

// Format implements [fmt.Formatter]. It shows only the name of the node.
func (rv *Revocations) Format(f fmt.State, _ rune) { redact.Format(f, rv.text()) }

// MarshalJSON implements json.Marshaler, as Format does fmt.Formatter.
func (rv *Revocations) MarshalJSON() ([]byte, error) { return redact.JSON(rv.text()) }

func (a Answer) text() string { return redact.Text(a, "Data") }

// Format implements [fmt.Formatter]. It shows no data.
func (a Answer) Format(f fmt.State, _ rune) { redact.Format(f, a.text()) }

// MarshalJSON implements json.Marshaler, as Format does fmt.Formatter.
func (a Answer) MarshalJSON() ([]byte, error) { return redact.JSON(a.text()) }

package minbin

import "github.com/socketcluster-go/socketcluster/wire"

// Codec implements [wire.Codec].
type Codec struct{}

var _ wire.Codec = Codec{}

// Binary implements [wire.Codec].
func (Codec) Binary() bool { return true }

// The keys of the short forms.
const (
	keyPublish  = "p"
	keyEvent    = "e"
	keyResponse = "r"
)

const eventPublish = "#publish"

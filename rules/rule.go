package rules

// A Rule allows operations on channels. In JSON and TOML, the names of its
// fields are in lower case.
type Rule struct {
	// Channel is the pattern of the channels' names. It may be left out if In
	// is set, and is then *.
	Channel string `json:"channel,omitempty" toml:"channel,omitempty"`

	// In is the claim that lists the texts for which the * of Channel may
	// stand. Without In, it may stand for any text.
	In string `json:"in,omitempty" toml:"in,omitempty"`

	// Subscribe, Publish and Presence state who may subscribe to the channels,
	// publish to them, and see who is on them.
	Subscribe Who `json:"subscribe,omitempty" toml:"subscribe,omitempty"`
	Publish   Who `json:"publish,omitempty" toml:"publish,omitempty"`
	Presence  Who `json:"presence,omitempty" toml:"presence,omitempty"`
}

// Who states to whom a rule allows an operation.
type Who string

const (
	Anyone        Who = "anyone"        // with or without a token
	Authenticated Who = "authenticated" // with a token that has the claims of the rule
)

// An Op is what a client wants to do with a channel.
type Op uint8

const (
	Subscribe Op = iota
	Publish
	Presence // see who is on the channel
	numOps
)

// String returns the name that the operation has in a rule.
func (op Op) String() string {
	if op >= numOps {
		return "unknown"
	}
	return [numOps]string{"subscribe", "publish", "presence"}[op]
}

// String shows the rule's pattern, as "room/* in rooms".
func (r Rule) String() string {
	channel := r.Channel
	if channel == "" {
		channel = "*"
	}
	if r.In == "" {
		return channel
	}
	return channel + " in " + r.In
}

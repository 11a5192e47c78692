package judge

import "time"

// Kind says what an event is.
type Kind string

// The events of clients. Who names the client, and Node the node that it is connected
// to, if it knows it.
const (
	Acked      Kind = "acked"      // publication N of Who on Channel was acknowledged, after Took, with Position
	Unsure     Kind = "unsure"     // a call for publication N of Who on Channel failed, or was not answered
	Subscribed Kind = "subscribed" // Who subscribes to Channel, and recovers; it began with the Last publications
	Lost       Kind = "lost"       // Who was told that From to To of Channel are lost, both 0 if unknown; it goes on at Position
	Got        Kind = "got"        // Who got publication N of Publisher on Channel, at Position if it sees it
	Stored     Kind = "stored"     // the same, read from the history at the end
	Ended      Kind = "ended"      // the connection of Who has ended
	In         Kind = "in"         // User is in Channel with socket Who
	Out        Kind = "out"        // socket Who has left Channel
	Online     Kind = "online"     // Node has answered, after Took, that Users are in Channel
	Revoked    Kind = "revoked"    // the tokens of User are revoked; the call took Took
	Kicked     Kind = "kicked"     // User is kicked out of Channel; the call took Took
	Expires    Kind = "expires"    // the token of User ends now
	Accepted   Kind = "accepted"   // Node has taken the token of User, after Took
	Refused    Kind = "refused"    // Node has not taken it
)

// The events of nodes.
const (
	Up       Kind = "up"       // Node serves, and reaches the others as far as they are up
	Down     Kind = "down"     // it has no process, or one that does not serve yet
	Stopping Kind = "stopping" // it hands over in good order
	Paused   Kind = "paused"   // it is stopped by SIGSTOP
	CutOff   Kind = "cut off"  // no other node reaches it
	Full     Kind = "full"     // its disk is full
	Still    Kind = "still"    // the whole machine has stood still for Took
	Healthy  Kind = "healthy"  // it has stored and delivered publications of each stream, Took after its process began
	Fault    Kind = "fault"    // the fault What begins on Node
	Over     Kind = "over"     // the fault is over, and the cluster is healthy
)

// Event is a line of the log. Its fields are those that its kind needs.
type Event struct {
	At        time.Duration `json:"at"` // since the beginning of the run
	Kind      Kind          `json:"kind"`
	Who       string        `json:"who,omitempty"`
	Node      string        `json:"node,omitempty"`
	Channel   string        `json:"channel,omitempty"`
	Publisher string        `json:"publisher,omitempty"`
	N         int           `json:"n,omitempty"`
	Position  string        `json:"position,omitempty"`
	Took      time.Duration `json:"took,omitempty"`
	From      uint64        `json:"from,omitempty"`
	To        uint64        `json:"to,omitempty"`
	Last      int           `json:"last,omitempty"`
	User      string        `json:"user,omitempty"`
	Users     []string      `json:"users,omitempty"`
	What      string        `json:"what,omitempty"`
}

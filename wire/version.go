package wire

// Version is a version of the SocketCluster protocol. The versions differ in
// the texts of pings and pongs, in the events for a client that leaves or is
// refused, and in whether a call and a transmission of one name are distinct.
// Both sides must be configured for the same version.
type Version uint8

const (
	// Version1 is the version of clients up to v14.
	Version1 Version = 1
	// Version2 is the version of clients from v15 on.
	Version2 Version = 2
)

// Ping returns the text message that the server sends as a ping.
func (v Version) Ping() string {
	if v == Version1 {
		return "#1"
	}
	return ""
}

// Pong returns the text message that the client sends as a pong.
func (v Version) Pong() string {
	if v == Version1 {
		return "#2"
	}
	return ""
}

// Valid reports whether the version exists.
func (v Version) Valid() bool { return v == Version1 || v == Version2 }

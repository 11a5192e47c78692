// Package judge decides from the log of a run what of the promises of a cluster was
// kept. It knows nothing of processes and sockets: its input is a list of events, and its
// result is a list of violations, and figures.
//
// What it holds against the events is what docs/CLUSTER.md promises:
//
//   - History: each acknowledged publication reaches each subscriber that recovers,
//     or is covered by a gap that the subscriber was told; nothing comes or is stored
//     twice; the acknowledged publications of a publisher on a channel come in its order,
//     and all subscribers get a channel in the order of its positions; a gap is
//     told only if the history was too short, and is only where it was told.
//   - Rights: after a revocation, a kick or the end of a token, a socket gets nothing
//     that was published since, and no node takes the token.
//   - Presence: a node that has been undisturbed for [Settle] names exactly the users
//     who are there.
//   - Storage comes back: no channel waits longer than [Limits].Patience, and no
//     subscriber whose node is up.
//
// A node is undisturbed while it is up and the machine does not stand still. One that is
// down, stopped or cut off is excused only as long as that lasts and for some seconds
// afterwards.
package judge

// Package presence decides who is in which channel of a cluster, by what the nodes tell each
// other. A [State] knows neither the network nor the clock: it is told what happens, and
// [State.Step] returns what is to be sent, reported and run. It is not safe for concurrent
// use, and does not block.
//
// Each node has rows, which are its sockets in channels. It numbers the changes of its rows,
// and tells them to all others. A node that has missed one, or hears in a beat that it has
// other rows than it should, asks for all of them. So messages may be lost, late, doubled, and
// overtake each other.
//
// All nodes see each leave, and agree on the one that runs its hook, see hookBook.
package presence

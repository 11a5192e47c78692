// The chaos command checks what docs/CLUSTER.md promises with real processes. It starts
// three contract servers as a cluster, with publishers and subscribers in Go and stock
// ones in Node.js, brings about faults on a schedule, and logs what everybody sent, had
// acknowledged, got and was told. Package judge decides from the log what was kept.
//
// Run it from internal/compat:
//
//	go run ./chaos [-for 5m] [-seed 1] [-only list] [-keep directory] [-contract binary] [-patience 30s]
//	go run ./chaos -judge log
//
// With -judge it judges a log that -keep has kept. Otherwise it prints figures, and each promise that was broken, and fails if there is one. A run
// of more than five minutes has several rounds: the seed of each is that of the one
// before and one. A seed decides on the order of the faults, their nodes and their
// lengths. It does not decide on what processes and networks do meanwhile, so the same
// seed may show something else.
//
// # The load
//
// On each of 20 channels somebody publishes all the time, on a hot one more than its
// history keeps while its subscriber sleeps, and on 120 a few publications now and then, so
// that nothing follows that would show that one is missing. A publisher has one publication
// under way. It numbers them, and goes to another node when its own does not answer.
// Half of the publishers publish there again, under its id, what was not acknowledged. Of
// the subscribers, three stay with a node each, the others come and go. Now and then a
// publication has more than 64 KiB, which is what a node keeps at hand of a channel.
//
// Time and again, three subscribers on each node come to a channel that nobody has used,
// and ask for the last publications while the first ones are made, most of which are large. Each
// gets all of them.
//
// Histories stay below HistoryBytes, so that no channel pushes out the publications of
// another one: all channels of a stream share that bound, so each gap could have its reason
// there, and the judge would have to believe it.
//
// Members come to channels with presence and leave them, and an observer on each node
// asks who is there. Guests follow private channels on all nodes until their token is
// revoked or ends, or they are kicked out, and then try to come back; their tokens
// have the times of clocks that are wrong.
//
// # The faults
//
// There is one at a time, and the next one comes when each node has stored and delivered
// publications of each stream: kill -9 of a node, or of all; SIGSTOP and SIGCONT; a node
// that is cut off, with connections that end or that fall silent; routes that end and
// come back; a rolling restart; a full disk, for which each node has a file system in
// memory, as root on Linux only. Clients reach a node that is cut off from the others. Their own
// connections end now and then.
package main

// Package ws is RFC 6455: the HTTP upgrade, the reading of messages and the building
// and writing of frames. [Accept] makes connections of a server, [Dial] those of a
// client.
//
// Reading. A [Conn] has one reader at a time. Between two messages it need not
// be there: [Conn.Park] hands the waiting over to a [Poller], which calls
// Options.Resume on a new goroutine when a byte or the end has come, or when Close
// or Interrupt was called. [Conn.Read] blocks until a whole
// message, a close frame or a failure is there. Messages come in the order in
// which the peer sent them; pings are reported to Options.OnPing between them,
// on the reader's goroutine; pongs are swallowed. After the first error Read
// answers that same error for ever.
//
// Memory. While nothing arrives, a Conn holds no buffer: the reader waits for
// readability and only then borrows a read buffer of 4 KiB, one memory page,
// from a pool that all connections share. Bytes of a started frame header are
// carried over in the Conn itself. A message buffer grows with the bytes that
// have arrived, to a small multiple of them at most: a length that a peer
// merely announces costs nothing. Up to 64 KiB message buffers are pooled in power-of-two classes;
// larger ones belong to the garbage collector. Connections other than
// *net.TCPConn and *net.UnixConn (TLS, wrappers, in-memory) cannot be polled
// without reading: they wait with two bytes inside the Conn and hold a read
// buffer while a frame is incomplete.
//
// Ownership. [Message].Data belongs to the caller until [Message.Release] and
// must not be touched afterwards, nor any slice that aliases it. The payload
// given to OnPing is a copy and belongs to the callee. Frames given to
// [Conn.WriteFrames] are only read.
//
// Writing. WriteFrames, WriteAll and AwaitWrite have one caller at a time; they
// may run beside Read. WriteFrames gives the kernel what it takes at once, so that
// whoever has the frames may still decide about the rest; AwaitWrite waits. A
// connection of crypto/tls is awaited by what is below it, and is then given one
// record at a time. Other wrappers cannot be awaited: writing 16 KiB to them may wait.
// [NewBuffer] and [Seal] build a frame in one allocation: the payload is
// appended behind reserved header bytes. Frames are never fragmented. Those of a
// server are not masked; a client gives each of them to [Mask], the last thing
// before it is written.
//
// Compression. With Options.Deflate, permessage-deflate (RFC 7692) is accepted
// from clients that offer it, and offered to servers, without context takeover on
// either side. [Deflate]
// makes a compressed frame of a whole one, which any number of connections may
// share. What a peer has compressed is collected as it comes and decompressed
// when it is complete, so that no connection holds a decompressor while it
// waits. As many compressors, and as many decompressors, work at a time as there
// are processors; the others wait for them.
//
// Units. Lengths and limits are bytes, a message counting the sum of its
// fragments' payloads, after decompression. Before it, a message may have an
// eighth more, as data that does not compress grows.
//
// Dialing. Dial waits for the network, a proxy, TLS and the response, and only its
// context bounds that. While it waits, the end of the context closes the connection.
//
// Constants. The read limit of 104857600 bytes for a zero Options.ReadLimit is
// TR-8. Control frames carry at most 125 bytes (RFC 6455, section 5.5). 4096
// fragments per message, 4 KiB read buffers, 16 KiB write chunks (the size of
// a TLS record), 64 KiB blocks of frames copied together, 64 KiB for the headers of a response, 1 KiB of the text of
// a refusal and 10 s for writing the 101 response are this package's own.
package ws

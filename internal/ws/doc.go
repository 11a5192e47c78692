// Package ws implements RFC 6455: the HTTP upgrade, the reading of messages,
// and the building and writing of frames. [Accept] makes the connections of a
// server, [Dial] those of a client.
//
// Reading. A [Conn] has one reader at a time. Between two messages it needs
// none: [Conn.Park] lets a [Poller] wait, which calls Owner.Resume on a new
// goroutine when a byte or the end has arrived, or when Close or Interrupt was
// called. [Conn.Read] blocks until there is a whole message, a close frame or
// an error. Messages arrive in the order in which the peer sent them. Pings are
// passed to Owner.Ping between them, on the reader's goroutine; pongs are
// dropped. After the first error Read returns the same error forever.
//
// Memory. While nothing arrives, a Conn holds no buffer: the reader waits for
// readability and only then borrows a read buffer of 4 KiB, one memory page,
// from a pool that all connections share. The first bytes of an incomplete
// frame header are kept in the Conn itself. A message buffer grows with the
// bytes that have arrived, to a small multiple of them at most: a length that a
// peer merely announces costs nothing. Message buffers of up to 64 KiB are
// pooled in power-of-two classes; larger ones are left to the garbage
// collector. Connections other than *net.TCPConn and *net.UnixConn (TLS,
// wrappers, in-memory) cannot be polled without reading: they wait with two
// bytes inside the Conn, and keep a read buffer while a frame is incomplete.
//
// Ownership. [Message].Data belongs to the caller until [Message.Release].
// Afterwards neither it nor any slice that aliases it may be used. The payload
// for Owner.Ping is a copy and belongs to the callee. [Conn.WriteFrames] only reads
// its frames.
//
// Writing. WriteFrames, WriteAll and AwaitWrite have one caller at a time; they
// may run concurrently with Read. WriteFrames gives the kernel what it accepts
// at once, so the owner of the frames can still decide about the rest.
// AwaitWrite waits. For a crypto/tls connection it waits for the connection
// below, which then gets one record at a time. Other wrappers do not support
// this: writing 16 KiB to them may wait. [NewBuffer] and [Seal] build a frame
// in one allocation: the payload is appended after reserved header bytes.
// Frames are never fragmented. A server does not mask them; a client masks each
// of them by [Mask], immediately before it is written.
//
// Compression. With Options.Deflate, permessage-deflate (RFC 7692) is accepted
// from clients that offer it, and offered to servers, without context takeover
// on either side. [Deflate] compresses a whole frame; any number of connections
// may share the result. A compressed message from the peer is collected as it
// arrives and decompressed when it is complete, so no connection holds a
// decompressor while it waits. There are at most as many compressors, and as
// many decompressors, at work as there are processors; others wait for them.
//
// Units. Lengths and limits are in bytes. The length of a message is the sum of
// its fragments' payloads after decompression. Compressed, a message may be an
// eighth longer, because data that does not compress grows.
//
// Dialing. Dial waits for the network, a proxy, TLS and the response; only its
// context bounds the time. While it waits, the end of the context closes the
// connection.
//
// Constants. The read limit of 104857600 bytes for a zero Options.ReadLimit is
// TR-8. Control frames have at most 125 bytes (RFC 6455, section 5.5). 4096
// fragments per message, 4 KiB read buffers, 16 KiB write chunks (the size of a
// TLS record), 64 KiB blocks of frames copied together, 64 KiB for the headers
// of a response, 1 KiB of the text of a refusal and 10 s for writing the 101
// response are this package's own.
package ws

// Package wire holds the SocketCluster message format: what a text message
// looks like and how it is taken apart and put together. It knows nothing about
// connections, sockets or channels and starts no goroutine.
//
// # Decoding
//
// A [Decoder] takes one whole message and yields its packets. The message is
// validated as a whole before the first packet is yielded, so a broken message
// never takes effect in part. The packets of a batch come in the order of the
// array; nested arrays are not expanded. A decoder holds no copy of the message
// and allocates nothing in steady state; only broken JSON, escaped keys and
// numbers of more than 32 digits cost a little.
//
// Everything that a stranger sent is classified, never refused with a panic: a
// message that is no JSON object or array, an object that is no packet and an
// event whose name is not valid Unicode all come out as [KindRaw]. Only the two
// [Limits] end in an error.
//
// A message that is not valid UTF-8 is one raw message, even when it would be
// JSON otherwise. Its bytes could not be forwarded in a text frame, and a
// publication must never make the connection of a subscriber fail.
//
// # Encoding
//
// The Append functions extend a caller's buffer by the exact text, key order
// included, that the JavaScript server writes. Data given to them is raw JSON
// and is inserted as it is: it must be one valid JSON value in valid UTF-8, as
// [Marshal] and [Decoder] yield it. Data of length zero means that the key is
// absent, which is not the same as null.
//
// # Ownership
//
// The slices in a [Packet] alias the message given to [Decoder.Reset] or a
// buffer of the decoder; they are good until the next call of Next or Reset and
// no longer than the message itself. What [ParsePublish], [ParseSubscribe] and
// [ParseHandshakeToken] return as slices aliases their argument where the
// comment of the function says so. Strings and errors are always copies. No
// function keeps or changes a slice that it was given, except that the Append
// functions write behind the end of dst.
//
// # Concurrency and blocking
//
// A Decoder belongs to one goroutine at a time. All functions are safe for
// concurrent use, and none of them blocks. An [Error] is immutable once it has
// been shared; [Error.With] makes a changed copy.
//
// # Units and constants
//
// Numbers are IEEE-754 doubles written as JavaScript writes them. Times are
// ISO 8601 in UTC with milliseconds. Reasons of close frames are measured in
// bytes; their limit of 123 follows from RFC 6455, section 5.5: a control frame
// carries at most 125 bytes, two of which are the code. Close codes 1000 to 1014
// are those of RFC 6455, section 7.4.1, and its registry; 4000 to 4009 and all
// texts of close codes are SocketCluster's, as are the names of errors. The
// nesting ceiling [MaxDepth] is that of the JSON tokenizer.
package wire
